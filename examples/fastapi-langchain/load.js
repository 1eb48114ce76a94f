// The load of locustfile.py for k6: the same mix and the same check.
//
// Run: k6 run -e TEXTS=DIR -e RECORDS=N -e HOST=http://127.0.0.1:PORT --vus 20 --duration 30s load.js
import http from "k6/http";
import exec from "k6/execution";
import { SharedArray } from "k6/data";
import { Counter } from "k6/metrics";

const texts = new SharedArray("texts", () => JSON.parse(open(`${__ENV.TEXTS}/texts.json`)));
const records = Number(__ENV.RECORDS);
const checkResults = 10; // the index is approximate
const missed = new Counter("missed");

export const options = { summaryTrendStats: ["avg", "p(50)", "p(99)", "max"] };

export default function () {
  if (Math.random() < 4 / 7) {
    find(texts[Math.floor(Math.random() * records)].text, 4);
    return;
  }
  const number = exec.scenario.iterationInTest % (texts.length - records);
  const article = { ...texts[records + number], id: `${exec.vu.idInTest}-${Date.now()}-${number}` };
  const answer = http.post(`${__ENV.HOST}/ingest`, JSON.stringify(article), {
    headers: { "Content-Type": "application/json", Connection: "close" },
  });
  if (answer.status !== 200) return;
  const found = find(article.text, checkResults);
  if (found !== null && !found.includes(article.id)) missed.add(1);
}

// The ids that /search answers, null if it fails.
function find(text, count) {
  const url = `${__ENV.HOST}/search?text=${encodeURIComponent(text)}&k=${count}`;
  const answer = http.get(url, { tags: { name: "/search" } });
  return answer.status === 200 ? answer.json().map((each) => each.id) : null;
}
