// What a tenant's tier allows: requests and items in a window. The API enforces it and scripts/keys.ts offers it.

export const tiers = ['free', 'standard', 'premium'] as const;
export type Tier = (typeof tiers)[number];
