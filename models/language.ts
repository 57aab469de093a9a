// Which language a text seems to be in, so that an answer can say when the model, which learned from English, is out
// of its depth. By script and by function words: cheap, and "und" where that does not tell.

/** A BCP 47 tag, or "und" if undetermined; `english` is false only if the text does not look like English. */
export interface DetectedLanguage {
  readonly tag: string;
  readonly english: boolean;
}

/** Scripts and the language they stand for; "und-..." where several languages share one. In order of preference. */
const scripts: readonly (readonly [RegExp, string])[] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/gu, 'ja'],
  [/\p{Script=Hangul}/gu, 'ko'],
  [/\p{Script=Han}/gu, 'zh'],
  [/\p{Script=Cyrillic}/gu, 'und-Cyrl'],
  [/\p{Script=Arabic}/gu, 'und-Arab'],
  [/\p{Script=Devanagari}/gu, 'und-Deva'],
  [/\p{Script=Greek}/gu, 'el'],
  [/\p{Script=Hebrew}/gu, 'und-Hebr'],
  [/\p{Script=Thai}/gu, 'th'],
  [/\p{Script=Bengali}/gu, 'und-Beng'],
  [/\p{Script=Tamil}/gu, 'ta'],
];

/** Function words; each language without those that are also English words or another's of the list. */
const functionWords: Readonly<Record<string, ReadonlySet<string>>> = {
  en: words(
    'the and you that is it of to was for on are with they this have from at be not but what all were we when your ' +
      'can there an which she do how their if will about would so my he had his her has who its than just get out ' +
      'our up by been did because could should some these those them then am im dont its thats didnt cant him ' +
      'another other even still never always too very why really think know like want good here as or now more any no yes me i a',
  ),
  es: words(
    'que el los las una por con para pero como más está esto muy porque también cuando todo eres soy hoy ya',
  ),
  fr: words(
    'le les des est une pour dans pas qui avec sur sont mais vous nous je tu mon cette très être fait aussi',
  ),
  de: words(
    'der das und ist nicht ich du ein eine mit auf für sich dem den auch wie aber wir sie noch nur bin habe',
  ),
  it: words(
    'il che di è per non sono con una della questo anche come più mi gli ma ho molto perché oggi tutto sei',
  ),
  pt: words(
    'não uma com os para mais como mas foi ele ela seu você isso muito também está são quando hoje eu tudo',
  ),
  nl: words(
    'het een van ik niet dat je te zijn op met voor maar ook heb wat dit naar aan wel nog geen deze heeft',
  ),
};

/** Words without one English function word among them that make us doubt. */
const doubtWordsMin = 6;

/** Looks at the first 2,000 characters. */
export function detectLanguage(text: string): DetectedLanguage {
  const start = text.slice(0, 2000);
  const letters = start.match(/\p{L}/gu)?.length ?? 0;
  if (letters === 0) return { tag: 'und', english: true };
  const latin = start.match(/\p{Script=Latin}/gu)?.length ?? 0;
  if (latin < letters / 2) return byScript(start, letters - latin);
  return byFunctionWords(
    start
      .toLowerCase()
      .replaceAll(/['’]/g, '')
      .match(/[\p{L}\p{M}]+/gu) ?? [],
  );
}

/** Japanese is written with Chinese characters too, so a tenth of kana decides; otherwise most letters do. */
function byScript(text: string, letters: number): DetectedLanguage {
  const counts = scripts.map(([pattern, tag]) => ({ tag, count: text.match(pattern)?.length ?? 0 }));
  const [kana, ...others] = counts;
  if (kana !== undefined && kana.count >= letters / 10) return { tag: kana.tag, english: false };
  const most = others.reduce((a, b) => (b.count > a.count ? b : a), { tag: 'und', count: letters / 2 });
  return { tag: most.tag, english: false };
}

function byFunctionWords(found: readonly string[]): DetectedLanguage {
  const counts = Object.entries(functionWords).map(([tag, list]) => ({
    tag,
    count: found.filter((word) => list.has(word)).length,
  }));
  const english = counts.find(({ tag }) => tag === 'en')?.count ?? 0;
  const best = counts.reduce((a, b) => (b.count > a.count ? b : a), { tag: 'und', count: 0 });
  if (best.tag !== 'en' && best.count >= 2 && best.count > 1.5 * english)
    return { tag: best.tag, english: false };
  if (english > 0) return { tag: 'en', english: true };
  return { tag: 'und', english: found.length < doubtWordsMin };
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}
