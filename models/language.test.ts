import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { detectLanguage } from './language.ts';

test('English is English', () => {
  for (const text of [
    "I'm so happy today!",
    'THIS IS GREAT',
    'no',
    'the train leaves at nine',
    "don't",
    'i <3 you 你好',
  ]) {
    assert.equal(detectLanguage(text), { tag: 'en', english: true }, text);
  }
});

test('other languages are told by script or by function words', () => {
  const texts = {
    zh: '我今天很高兴',
    ja: '今日はとても嬉しいです',
    ko: '오늘 정말 행복해요',
    el: 'Είμαι πολύ χαρούμενος',
    th: 'วันนี้ฉันมีความสุขมาก',
    'und-Cyrl': 'Я очень рад сегодня',
    'und-Arab': 'أنا سعيد جدا اليوم',
    'und-Deva': 'मैं आज बहुत खुश हूँ',
    fr: 'Je suis très content de vous voir, mais pas aujourd’hui',
    de: 'Ich bin heute nicht sehr glücklich und das ist schade',
    es: 'Hoy estoy muy feliz porque todo es como antes',
    it: 'Oggi sono molto felice perché non piove più',
    pt: 'Hoje eu não estou feliz mas você está muito bem',
    nl: 'Ik ben niet blij dat je het hebt gezien',
  };
  for (const [tag, text] of Object.entries(texts))
    assert.equal(detectLanguage(text), { tag, english: false }, text);
});

test('what holds no letters or too few words is undetermined and not doubted', () => {
  for (const text of ['', '123 !!!', '😂😂😂', 'lol', 'Happy Cake Day Baby']) {
    assert.equal(detectLanguage(text), { tag: 'und', english: true }, text);
  }
});

test('six words without one English function word are doubted', () => {
  assert.equal(detectLanguage('Dzisiaj jestem bardzo szczęśliwy razem rodziną'), {
    tag: 'und',
    english: false,
  });
});

test('an English text with a foreign phrase stays English', () => {
  assert.is(detectLanguage('He said je ne sais quoi and we all laughed at it').tag, 'en');
});

test('any text has an answer', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => detectLanguage(text).tag.length > 0));
});

test.run();
