// The weight of what the search finds; search.py puts the key words of the pages in.
const KEYWORDS = /* KEYWORDS */ {};
// Made from templates or from the code: many pages with the same words.
const LIGHT = /^(api|machinery|house|speed|contributing|references|physionet\/|genindex|py-modindex|data\/)/;

var Scorer = {
  score: ([page, title, anchor, descr, score]) => {
    const query = new URLSearchParams(window.location.search).get("q")?.toLowerCase().trim() ?? "";
    if ((KEYWORDS[page] ?? []).includes(query) && !anchor && !descr) return 100 + score;
    if (descr) return score / 20; // an object of the code
    if (LIGHT.test(page)) return score / 10;
    return anchor ? score / 2 : score; // a section is less than a page
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 30,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
