"use strict";
/* Everything that is proved on this page, with the browser's own cryptography (WebCrypto): nothing
 * is fetched but scripts beside this file, and nothing is believed but the policy.
 *
 *   policy  whose keys count           -> the head: size and root, cosigned by a majority
 *   head    the root of all records    -> tiles of level 1: the roots of 256 records each
 *   tile    the root of 256 records    -> each record, byte for byte
 *   record  hashes of what was decided -> outcome and effects, opened with the record's seal
 */
const TILE = 256;
const store = { facts: null, tiles: [], decisions: new Map(), requests: new Map(), accounts: new Map(), loaded: new Map() };

/* What the data files call. */
function F(facts) { store.facts = facts; }
function T(index, tile) { store.tiles[index] = bytesOf64(tile); }
function D(position, record, seal, end, outcome, effects, party, request) {
  store.decisions.set(position, { position, record: bytesOf64(record), seal: bytesOfHex(seal), end, outcome, effects, party, request });
}
function R(id, position) { (store.requests.get(id) ?? store.requests.set(id, []).get(id)).push(position); }
function A(contract, place, postings, positions) { store.accounts.set(contract + " " + place, { contract, place, postings, positions }); }

/* A script of the export, once. */
function load(path) {
  if (!store.loaded.has(path)) {
    store.loaded.set(path, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => { script.remove(); resolve(); };
      script.onerror = () => { store.loaded.delete(path); reject(new Error("cannot read " + path)); };
      document.head.append(script);
    }));
  }
  return store.loaded.get(path);
}

/* ---- bytes ---- */

function bytesOf64(text) { return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)); }
function bytesOfHex(text) { return Uint8Array.from(text.match(/../g) ?? [], (x) => parseInt(x, 16)); }
function hexOf(bytes) { return Array.from(bytes, (x) => x.toString(16).padStart(2, "0")).join(""); }
function textBytes(text) { return new TextEncoder().encode(text); }
function same(a, b) { return a.length === b.length && a.every((x, i) => x === b[i]); }
function joined(...parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { all.set(p, at); at += p.length; }
  return all;
}
async function sha256(...parts) { return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts))); }
const ZERO = Uint8Array.of(0), ONE = Uint8Array.of(1);
const leafHash = (record) => sha256(ZERO, record);
const nodeHash = (left, right) => sha256(ONE, left, right);

/* ---- the tree (RFC 6962) ---- */

/* The root over hashes that stand for equal full subtrees, but for the last, which may be smaller. */
async function rootOf(hashes) {
  while (hashes.length > 1) {
    const next = [];
    for (let i = 0; i < hashes.length; i += 2) {
      next.push(i + 1 < hashes.length ? await nodeHash(hashes[i], hashes[i + 1]) : hashes[i]);
    }
    hashes = next;
  }
  return hashes[0];
}

/* RFC 9162, 2.1.3.2: does the path lead from the leaf to the root? */
async function pathLeads(leaf, index, size, path, root) {
  let fn = BigInt(index), sn = BigInt(size) - 1n, r = leaf;
  if (fn > sn) return false;
  for (const p of path) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      r = await nodeHash(p, r);
      while ((fn & 1n) === 0n && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      r = await nodeHash(r, p);
    }
    fn >>= 1n; sn >>= 1n;
  }
  return sn === 0n && same(r, root);
}

/* ---- notes, checkpoints, policies (C2SP) ---- */

function noteOf(text) {
  const cut = text.lastIndexOf("\n\n");
  if (cut < 0) throw new Error("this is no signed note");
  const body = text.slice(0, cut + 1);
  const signatures = text.slice(cut + 2).split("\n").filter((x) => x !== "").map((line) => {
    const m = /^\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    if (!m) throw new Error("a line of the note is no signature");
    const blob = bytesOf64(m[2]);
    return { name: m[1], id: hexOf(blob.slice(0, 4)), blob: blob.slice(4) };
  });
  return { body, signatures };
}
function checkpointOf(note) {
  const lines = note.body.split("\n");
  if (lines.length !== 4 || !/^(0|[1-9][0-9]*)$/.test(lines[1])) throw new Error("this is no checkpoint");
  return { origin: lines[0], size: Number(lines[1]), root: bytesOf64(lines[2]) };
}
function keyOf(text) {
  const m = /^(.+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  if (!m) throw new Error("a key of the policy cannot be read");
  const raw = bytesOf64(m[3]);
  return { text, name: m[1], id: m[2], kind: raw[0], public: raw.slice(1), from: 0, until: Infinity };
}
function policyOf(text) {
  const policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: null };
  const byText = new Map();
  for (const line of text.split("\n")) {
    const w = line.split(" ");
    if (w[0] === "log") { const k = keyOf(w[1]); policy.logs.push(k); byText.set(w[1], k); }
    else if (w[0] === "witness") { const k = keyOf(w[2]); policy.witnesses.set(w[1], k); byText.set(w[2], k); }
    else if (w[0] === "group") policy.groups.set(w[1], { need: w[2] === "any" ? 1 : w[2] === "all" ? w.length - 3 : Number(w[2]), members: w.slice(3) });
    else if (w[0] === "quorum") policy.quorum = w[1];
    else if (w[0] === "#" && w[1] === "valid" && byText.has(w[2])) {
      const k = byText.get(w[2]);
      k.from = Number(w[3]); k.until = w[4] === "-" ? Infinity : Number(w[4]);
    }
  }
  return policy;
}
async function signedBy(note, key) {
  const line = note.signatures.find((s) => s.name === key.name && s.id === key.id);
  if (!line) return null;
  let message = textBytes(note.body), signature = line.blob, time = 0;
  if (key.kind === 4) {
    if (line.blob.length !== 72) throw new Error("the signature of " + key.name + " is false");
    time = Number(new DataView(line.blob.buffer, line.blob.byteOffset).getBigUint64(0));
    message = textBytes("cosignature/v1\ntime " + time + "\n" + note.body);
    signature = line.blob.slice(8);
  }
  const k = await crypto.subtle.importKey("raw", key.public, "Ed25519", false, ["verify"]);
  if (!await crypto.subtle.verify("Ed25519", k, signature, message)) throw new Error("the signature of " + key.name + " is false");
  return { time };
}
/* The checkpoint of a note that the quorum of the policy has cosigned, and who did. Throws. */
async function cosigned(noteText, policyText) {
  const note = noteOf(noteText), head = checkpointOf(note), policy = policyOf(policyText);
  const counts = (key) => head.size >= key.from && head.size < key.until;
  const signers = new Map();
  let log = false;
  for (const key of policy.logs) log = (key.name === head.origin && counts(key) && await signedBy(note, key) !== null) || log;
  if (!log) throw new Error("no log key of the policy has signed this head");
  for (const [name, key] of policy.witnesses) {
    const s = counts(key) ? await signedBy(note, key) : null;
    if (s) signers.set(name, s.time);
  }
  const met = (name) => {
    const g = policy.groups.get(name);
    return g ? new Set(g.members.filter(met)).size >= g.need : signers.has(name);
  };
  if (!policy.quorum || !met(policy.quorum)) throw new Error("too few institutions have signed this head");
  const institutions = [...policy.groups.keys()].filter((g) => g !== policy.quorum && met(g));
  return { ...head, institutions, time: Math.max(...signers.values()) };
}

/* ---- the export ---- */

/* Proves the head, then every tile of level 1 under it, then the records of the last, partial one. */
async function proveHead() {
  const head = await cosigned(store.facts.checkpoint, store.facts.policy);
  if (head.origin !== store.facts.origin) throw new Error("the head is another ledger's");
  const full = Math.floor(head.size / TILE), rest = head.size % TILE;
  for (let i = 0; i * TILE < full; i++) await load("page/tree/" + i + ".js");
  const hashes = [];
  for (let i = 0; i < full; i++) hashes.push(store.tiles[Math.floor(i / TILE)].slice(32 * (i % TILE), 32 * (i % TILE) + 32));
  store.level1 = hashes.slice();
  if (rest > 0) hashes.push(await rootOf(await leavesOf(full, rest)));
  if (head.size > 0 && !same(await rootOf(hashes), head.root)) throw new Error("the tree of this export has not the signed root");
  store.head = head;
  return head;
}
async function leavesOf(tile, width) {
  await load("page/decisions/" + tile + ".js");
  return Promise.all(Array.from({ length: width }, (_, i) => {
    const d = store.decisions.get(tile * TILE + i);
    if (!d) throw new Error("record " + (tile * TILE + i) + " is missing");
    return leafHash(d.record);
  }));
}
const proved = new Set();
/* Proves that the 256 records of a tile are those under the signed root. */
async function proveTile(tile) {
  if (proved.has(tile)) return;
  const full = Math.floor(store.head.size / TILE);
  if (tile < full && !same(await rootOf(await leavesOf(tile, TILE)), store.level1[tile])) throw new Error("records " + tile * TILE + " to " + (tile * TILE + TILE - 1) + " are not those of the signed tree");
  proved.add(tile);
}
/* The fields of a record (docs/formats/records.md). */
function recordOf(bytes) {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const u = (n) => { let x = 0n; for (let i = 0; i < n; i++) x = (x << 8n) | BigInt(v.getUint8(at++)); return x; };
  const take = (n) => { const x = bytes.slice(at, at + n); if (x.length !== n) throw new Error("a record is cut short"); at += n; return x; };
  const r = { version: Number(u(2)), position: Number(u(8)), height: Number(u(8)), time: u(8), kind: Number(u(1)), source: take(32), index: Number(u(4)) };
  r.contract = new TextDecoder().decode(take(Number(u(4))));
  r.contractVersion = Number(u(8)); r.text = take(32);
  r.hasLegal = u(1) === 1n; r.legal = v.getInt32(at); at += 4;
  for (const name of ["outcomeHash", "effectsHash", "traceHash", "digest", "accountsRoot"]) r[name] = take(32);
  if (r.version !== 1 || at !== bytes.length) throw new Error("a record has another form");
  return r;
}
/* A decision with its record, both proved. */
async function provedDecision(position) {
  if (position >= store.head.size) throw new Error("record " + position + " is after the signed head");
  const tile = Math.floor(position / TILE);
  await load("page/decisions/" + tile + ".js");
  await proveTile(tile);
  const d = store.decisions.get(position), r = recordOf(d.record);
  if (r.position !== position) throw new Error("record " + position + " stands in the place of another");
  if (!same(await sha256(d.seal, textBytes(d.outcome)), r.outcomeHash)) throw new Error("the outcome shown for record " + position + " is not the recorded one");
  if (!same(await sha256(d.seal, textBytes(d.effects)), r.effectsHash)) throw new Error("the effects shown for record " + position + " are not the recorded ones");
  return { ...d, fields: r };
}

/* ---- accounts ---- */

/* "wallet[c01]" -> { family, keys }: components are bare or quoted. */
function placeOf(text) {
  const m = /^([^\[ ]+)(?:\[(.*)\])?( \(issued\))?$/s.exec(text);
  if (!m) throw new Error("write an account as wallet[c01]");
  const keys = [];
  const part = /\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)/gy;
  while (m[2] !== undefined && part.lastIndex < m[2].length) {
    const k = part.exec(m[2]);
    if (!k) break;
    keys.push(k[1].startsWith('"') ? JSON.parse(k[1]) : k[1].trim());
  }
  return { family: m[1], keys, issued: m[3] !== undefined };
}
/* "0.12 EUR" -> [12n, 2, "EUR"]: amounts are exact. */
function amountOf(text) {
  const m = /^(-?)([0-9]+)(?:\.([0-9]+))? (.+)$/.exec(text);
  if (!m) throw new Error("an amount cannot be read: " + text);
  const n = BigInt(m[2] + (m[3] ?? ""));
  return [m[1] ? -n : n, (m[3] ?? "").length, m[4]];
}
function amountText(n, decimals, unit) {
  const digits = (n < 0n ? -n : n).toString().padStart(decimals + 1, "0");
  return (n < 0n ? "\u2212" : "") + digits.slice(0, digits.length - decimals) + (decimals ? "." + digits.slice(-decimals) : "") + " " + unit;
}
/* The postings of a decision on an account: what its proved effects say. */
function postingsOn(decision, contract, place) {
  if (decision.end !== 1 || decision.fields.contract !== contract || decision.fields.kind === 3) return [];
  const here = (family, keys) => !place.issued && family === place.family && keys.length === place.keys.length && keys.every((k, i) => String(k) === place.keys[i]);
  const found = [];
  for (const e of JSON.parse(decision.effects)) {
    if (e[0] === "transfer") {
      if (here(e[3], e[4])) found.push({ clause: e[1], sign: -1n, amount: e[7], other: placeText(e[5], e[6]) });
      if (here(e[5], e[6])) found.push({ clause: e[1], sign: 1n, amount: e[7], other: placeText(e[3], e[4]) });
    } else if (e[0] === "issue" || e[0] === "retire") {
      const sign = e[0] === "issue" ? 1n : -1n;
      if (here(e[3], e[4])) found.push({ clause: e[1], sign, amount: e[5], other: e[3] + " (issued)" });
      if (place.issued && e[3] === place.family) found.push({ clause: e[1], sign: -sign, amount: e[5], other: placeText(e[3], e[4]) });
    }
  }
  return found;
}
function placeText(family, keys) { return keys.length ? family + "[" + keys.join(", ") + "]" : family; }
/* The statement from the listed records, with the running balance. */
async function statementOf(contract, placeName, positions) {
  const place = placeOf(placeName), lines = [];
  let balance = 0n, decimals = 0, unit = "";
  for (const position of positions) {
    const d = await provedDecision(position);
    for (const p of postingsOn(d, contract, place)) {
      const [n, dec, u] = amountOf(p.amount);
      decimals = dec; unit = u; balance += p.sign * n;
      lines.push({ ...p, position, fields: d.fields, amount: amountText(p.sign * n, dec, u), balance: amountText(balance, dec, u) });
    }
  }
  return { lines, balance: unit ? amountText(balance, decimals, unit) : "" };
}
/* Reads every record of the ledger: which of them post to the account? */
async function scanFor(contract, placeName, onProgress) {
  const place = placeOf(placeName), positions = [];
  for (let p = 0; p < store.head.size; p++) {
    const tile = Math.floor(p / TILE);
    const d = await provedDecision(p);
    if (postingsOn(d, contract, place).length > 0) positions.push(p);
    if (p % TILE === TILE - 1) {
      onProgress((p + 1) / store.head.size);
      for (let i = tile * TILE; i <= p; i++) store.decisions.delete(i); /* constant memory */
      store.loaded.delete("page/decisions/" + tile + ".js");
      proved.delete(tile);
    }
  }
  onProgress(1);
  return positions;
}

/* ---- receipts (c2sp.org/tlog-proof) ---- */

async function receiptOf(text) {
  const lines = text.split("\n");
  if (lines[0] !== "c2sp.org/tlog-proof@v1") throw new Error("this is no receipt");
  let at = 1, extra = null;
  if (lines[at]?.startsWith("extra ")) extra = bytesOf64(lines[at++].slice(6));
  const m = /^index (0|[1-9][0-9]*)$/.exec(lines[at++] ?? "");
  if (!m || !extra) throw new Error("the receipt has no record or no index");
  const path = [];
  while (at < lines.length && lines[at] !== "") path.push(bytesOf64(lines[at++]));
  const head = await cosigned(lines.slice(at + 1).join("\n"), store.facts.policy);
  const fields = recordOf(extra);
  if (fields.position !== Number(m[1]) || !await pathLeads(await leafHash(extra), m[1], head.size, path, head.root)) throw new Error("the record of this receipt is not under the signed root");
  return { head, fields };
}
