// The envelope of every list: its objects, whether there are more, and the ids to go on from.

export interface ListPage<View> {
  readonly object: 'list';
  readonly data: View[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** @param hasMore whether there are more in the direction that was asked for */
export function toListPage<View extends { readonly id: string }>(
  data: View[],
  hasMore: boolean,
): ListPage<View> {
  return {
    object: 'list',
    data,
    has_more: hasMore,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  };
}
