"use strict";
/* What is shown: words in three languages, and the three forms of the page. */
const WORDS = {
  en: { title: "An exported ledger", intro: "Everything here is checked in this browser, from the files beside this page: no server is asked, none needs to exist.",
    head: "The signed head", request: "Find a request", requestLabel: "Request id (32 hexadecimal digits)", find: "Find", account: "Statement of an account", contractLabel: "Contract", placeLabel: "Account, as in wallet[c01]", show: "Show",
    receipt: "Check a receipt", receiptLabel: "The text of a receipt", check: "Check", outro: "This page proves what was recorded and who signed it. Whether the contracts were applied rightly is what “concordat audit” recomputes from the same directory.",
    origin: "Ledger", id: "Ledger id", size: "Records", signedBy: "Signed by", at: "last at", headOk: "The head is signed by a majority of the institutions.", treeOk: "All records of this export are those under the signed root.",
    position: "Record", time: "Recorded", by: "Signed for", contract: "Contract", decision: "Decision", accepted: "accepted", rejected: "rejected", fault: "fault", why: "Reason", clause: "clause", effects: "Effects",
    recordOk: "The record stands under the signed root.", outcomeOk: "Decision and effects are those that the record commits to.", none: "No such request in this export.", noAccount: "No posting to this account in this export.",
    amount: "Amount", balance: "Balance", other: "Other account", lines: "postings, each proved; balance", complete: "Is that all? Examine every record", completeOk: "Complete: every record of the ledger was examined, and no other posts to this account.", completeBad: "Not complete: records were left out of the list:", failed: "Not proved:", receiptOk: "The receipt is proved by this export's policy.", legal: "Legal date" },
  fr: { title: "Un registre exporté", intro: "Tout est vérifié dans ce navigateur, à partir des fichiers à côté de cette page : aucun serveur n’est interrogé, aucun n’a besoin d’exister.",
    head: "L’en-tête signé", request: "Trouver une demande", requestLabel: "Numéro de la demande (32 chiffres hexadécimaux)", find: "Chercher", account: "Relevé d’un compte", contractLabel: "Contrat", placeLabel: "Compte, par exemple wallet[c01]", show: "Afficher",
    receipt: "Vérifier un reçu", receiptLabel: "Le texte d’un reçu", check: "Vérifier", outro: "Cette page prouve ce qui a été inscrit et qui l’a signé. « concordat audit » recalcule, à partir du même répertoire, si les contrats ont été appliqués justement.",
    origin: "Registre", id: "Empreinte du registre", size: "Inscriptions", signedBy: "Signé par", at: "en dernier le", headOk: "L’en-tête est signé par la majorité des institutions.", treeOk: "Toutes les inscriptions de cet export sont celles sous la racine signée.",
    position: "Inscription", time: "Inscrite le", by: "Signée pour", contract: "Contrat", decision: "Décision", accepted: "acceptée", rejected: "refusée", fault: "défaut", why: "Motif", clause: "clause", effects: "Effets",
    recordOk: "L’inscription est sous la racine signée.", outcomeOk: "Décision et effets sont ceux auxquels l’inscription engage.", none: "Aucune demande de ce numéro dans cet export.", noAccount: "Aucune écriture sur ce compte dans cet export.",
    amount: "Montant", balance: "Solde", other: "Autre compte", lines: "écritures, chacune prouvée ; solde", complete: "Est-ce tout ? Examiner chaque inscription", completeOk: "Complet : chaque inscription du registre a été examinée, aucune autre ne touche ce compte.", completeBad: "Incomplet : la liste omet les inscriptions", failed: "Non prouvé :", receiptOk: "Le reçu est prouvé selon la politique de cet export.", legal: "Date légale" },
  nl: { title: "Een geëxporteerd register", intro: "Alles wordt in deze browser gecontroleerd, met de bestanden naast deze pagina: er wordt geen server gevraagd en er hoeft er geen te bestaan.",
    head: "De ondertekende stand", request: "Een verzoek zoeken", requestLabel: "Nummer van het verzoek (32 hexadecimale cijfers)", find: "Zoeken", account: "Overzicht van een rekening", contractLabel: "Contract", placeLabel: "Rekening, zoals wallet[c01]", show: "Tonen",
    receipt: "Een bewijs controleren", receiptLabel: "De tekst van een bewijs", check: "Controleren", outro: "Deze pagina bewijst wat is vastgelegd en wie het heeft ondertekend. Of de contracten juist zijn toegepast, berekent “concordat audit” opnieuw uit dezelfde map.",
    origin: "Register", id: "Kenmerk van het register", size: "Vastleggingen", signedBy: "Ondertekend door", at: "laatst op", headOk: "De stand is ondertekend door een meerderheid van de instellingen.", treeOk: "Alle vastleggingen van deze export staan onder de ondertekende wortel.",
    position: "Vastlegging", time: "Vastgelegd op", by: "Ondertekend voor", contract: "Contract", decision: "Besluit", accepted: "aanvaard", rejected: "afgewezen", fault: "fout", why: "Reden", clause: "clausule", effects: "Gevolgen",
    recordOk: "De vastlegging staat onder de ondertekende wortel.", outcomeOk: "Besluit en gevolgen zijn die waartoe de vastlegging verbindt.", none: "Geen verzoek met dit nummer in deze export.", noAccount: "Geen boeking op deze rekening in deze export.",
    amount: "Bedrag", balance: "Saldo", other: "Andere rekening", lines: "boekingen, elk bewezen; saldo", complete: "Is dat alles? Elke vastlegging onderzoeken", completeOk: "Volledig: elke vastlegging van het register is onderzocht, geen andere boekt op deze rekening.", completeBad: "Onvolledig: de lijst mist de vastleggingen", failed: "Niet bewezen:", receiptOk: "Het bewijs klopt volgens het beleid van deze export.", legal: "Wettelijke datum" },
};
let lang = (navigator.language || "en").slice(0, 2) in WORDS ? navigator.language.slice(0, 2) : "en";
const word = (name) => WORDS[lang][name];
const at = (id) => document.getElementById(id);
function make(tag, text, cls) { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; }
function list(pairs) { const dl = make("dl"); for (const [k, v] of pairs) dl.append(make("dt", k), v instanceof Node ? v : make("dd", v)); return dl; }
function checks(...texts) { const ul = make("ul", undefined, "checks"); for (const t of texts) ul.append(make("li", t)); return ul; }
function failure(e) { const ul = make("ul", undefined, "checks"); ul.append(make("li", word("failed") + " " + e.message, "bad")); return ul; }
const timeText = (ns) => new Date(Number(ns / 1000000n)).toISOString().replace("T", " ").replace(/\.[0-9]*Z/, " UTC");
const dayText = (days) => new Date(days * 86400000).toISOString().slice(0, 10);
const endWord = (end) => [undefined, word("accepted"), word("rejected"), word("fault")][end];

/* Shows what fn returns in the place, or why it is not proved. */
async function showing(place, fn) {
  place.replaceChildren(make("p", "\u2026", "soft"));
  try { place.replaceChildren(...await fn()); } catch (e) { place.replaceChildren(failure(e)); }
  place.dataset.done = "yes";
}

async function showHead() {
  const facts = store.facts;
  at("facts").replaceChildren(...list([[word("origin"), facts.origin], [word("id"), make("dd", facts.ledger, "mono")], [word("size"), String(facts.size)]]).childNodes);
  at("head-checks").replaceChildren();
  try {
    const head = store.head ?? await proveHead();
    at("facts").append(...list([[word("signedBy"), head.institutions.join(", ") + ", " + word("at") + " " + timeText(BigInt(head.time) * 1000000000n)]]).childNodes);
    at("head-checks").replaceChildren(...checks(word("headOk"), word("treeOk")).childNodes);
  } catch (e) { at("head-checks").replaceChildren(...failure(e).childNodes); }
  document.body.dataset.ready = "yes";
}

function decisionView(d) {
  const outcome = JSON.parse(d.outcome);
  const pairs = [[word("position"), String(d.position)], [word("time"), timeText(d.fields.time)], [word("by"), d.party], [word("contract"), d.fields.contract + " " + d.fields.contractVersion + (outcome.event ? ", " + outcome.event : "")],
    [word("decision"), make("dd", endWord(d.end), d.end === 1 ? "good" : "bad")]];
  if (d.fields.hasLegal) pairs.push([word("legal"), dayText(d.fields.legal)]);
  if (outcome.clause !== undefined && d.end !== 1) pairs.push([word("why"), (outcome.why ?? outcome.kind ?? "") + " (" + word("clause") + " " + outcome.clause + ")"]);
  const effects = make("dd");
  for (const e of JSON.parse(d.effects)) effects.append(make("div", JSON.stringify(e), "mono"));
  if (effects.children.length > 0) pairs.push([word("effects"), effects]);
  return [list(pairs), checks(word("recordOk"), word("outcomeOk"))];
}
/* All records of a request stand one after the other. */
async function requestView(id) {
  await load("page/requests/" + id.slice(0, 2) + ".js");
  const firsts = store.requests.get(id) ?? [];
  const shown = [];
  for (const first of firsts) {
    for (let p = first; p < store.head.size; p++) {
      const d = await provedDecision(p);
      if (d.request === id) shown.push(...decisionView(d));
      else if (d.fields.kind !== 2) break;
    }
  }
  return shown.length > 0 ? shown : [make("p", word("none"), "bad")];
}

async function accountView(contract, place) {
  const hash = await sha256(textBytes(contract + " " + place));
  await load("page/accounts/" + hexOf(hash.slice(0, 1)) + ".js");
  const account = store.accounts.get(contract + " " + place);
  if (!account) return [make("p", word("noAccount"), "bad")];
  const { lines, balance } = await statementOf(contract, place, [...new Set(account.positions)]);
  if (lines.length !== account.postings) throw new Error(account.postings + " postings are announced and " + lines.length + " are proved");
  const table = make("table"), head = table.createTHead().insertRow(), body = table.createTBody();
  for (const [t, cls] of [["position", "n"], ["time", ""], ["clause", ""], ["other", ""], ["amount", "n"], ["balance", "n"]]) head.append(make("th", word(t), cls));
  for (const l of lines) {
    const row = body.insertRow();
    row.append(make("td", String(l.position), "n"), make("td", timeText(l.fields.time)), make("td", l.clause), make("td", l.other), make("td", l.amount, "n"), make("td", l.balance, "n"));
  }
  const button = make("button", word("complete")), answer = make("div");
  button.id = "complete";
  button.onclick = () => { button.disabled = true; showing(answer, () => completeView(account, contract, place, answer)); };
  answer.id = "complete-result";
  return [checks(lines.length + " " + word("lines") + " " + balance), table, make("p"), button, answer];
}
async function completeView(account, contract, place, answer) {
  const bar = make("progress");
  bar.max = 1; bar.value = 0;
  answer.replaceChildren(bar);
  const found = await scanFor(contract, place, (part) => { bar.value = part; });
  const listed = new Set(account.positions), left = found.filter((p) => !listed.has(p));
  if (left.length > 0) throw new Error(word("completeBad") + " " + left.slice(0, 10).join(", "));
  return [checks(word("completeOk"))];
}

async function receiptView(text) {
  const { head, fields } = await receiptOf(text);
  return [list([[word("position"), String(fields.position)], [word("time"), timeText(fields.time)], [word("contract"), fields.contract + " " + fields.contractVersion], [word("signedBy"), head.institutions.join(", ")]]), checks(word("receiptOk"))];
}

function translate() {
  document.documentElement.lang = lang;
  at("lang").value = lang;
  for (const e of document.querySelectorAll("[data-t]")) e.textContent = word(e.dataset.t);
  for (const id of ["request-result", "account-result", "receipt-result"]) at(id).replaceChildren();
}
at("lang").onchange = () => { lang = at("lang").value; translate(); showHead(); };
at("request-form").onsubmit = (e) => { e.preventDefault(); showing(at("request-result"), () => requestView(at("request-id").value.trim().toLowerCase())); };
at("account-form").onsubmit = (e) => { e.preventDefault(); showing(at("account-result"), () => accountView(at("contract").value.trim(), at("place").value.trim())); };
at("receipt-form").onsubmit = (e) => { e.preventDefault(); showing(at("receipt-result"), () => receiptView(at("receipt-text").value)); };
/* index.html#request=ID and index.html#account=CONTRACT/ACCOUNT[&complete] show at once what they
 * name, so that a letter can point to a decision. */
async function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has("request")) {
    at("request-id").value = asked.get("request");
    await showing(at("request-result"), () => requestView(asked.get("request").toLowerCase()));
  }
  if (asked.has("account")) {
    const [contract, ...place] = asked.get("account").split("/");
    at("contract").value = contract;
    at("place").value = place.join("/");
    await showing(at("account-result"), () => accountView(contract, place.join("/")));
    if (asked.has("complete") && at("complete")) {
      at("complete").click();
    }
  }
}
translate();
addEventListener("load", () => showHead().then(follow));
addEventListener("hashchange", follow);
