#!/usr/bin/env node
// Submits one signed event with grpc-js and reads it back; see ../README.md.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

class Difference extends Error {}

const OPTIONS = {
  target: { type: 'string' },
  'server-name': { type: 'string' },
  ca: { type: 'string', multiple: true },
  cert: { type: 'string' },
  key: { type: 'string' },
  party: { type: 'string' },
  'party-key': { type: 'string' },
  'ledger-id': { type: 'string' },
  'request-id': { type: 'string' },
  contract: { type: 'string' },
  action: { type: 'string' },
  args: { type: 'string' },
  timeout: { type: 'string', default: '20' },
  // This program is run from a copy beside its packages; the .proto files are where they were.
  proto: { type: 'string', default: path.join(__dirname, '../../../proto') },
};
const NEEDED = ['target', 'ca', 'cert', 'key', 'party', 'party-key', 'contract', 'action', 'args'];

function sha256(...parts) {
  const hash = crypto.createHash('sha256');
  parts.forEach((part) => hash.update(part));
  return hash.digest();
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function expect(fact, text) {
  if (!fact) {
    throw new Difference(text);
  }
}

// ---- messages ----

function loadTypes(folder) {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => path.join(folder, target);
  root.loadSync(['concordat/v1/ledger.proto', 'concordat/v1/rules.proto']);
  return {
    args: root.lookupType('concordat.rules.v1.Args'),
    body: root.lookupType('concordat.v1.Body'),
    envelope: root.lookupType('concordat.v1.Envelope'),
  };
}

function loadServices(folder) {
  const files = ['concordat/v1/ledger.proto', 'concordat/v1/operator.proto',
    'grpc/health/v1/health.proto'];
  const definition = loader.loadSync(files,
    { includeDirs: [folder], keepCase: true, longs: String, enums: String, defaults: true });
  return grpc.loadPackageDefinition(definition);
}

function amountOf(text) {
  const [number, unit] = text.split(' ');
  const [whole, fraction = ''] = number.split('.');
  return { count: protobuf.util.Long.fromString(whole + fraction), decimals: fraction.length, unit };
}

function timeOf(text) {
  const fraction = /\.(\d{1,9})/.exec(text);
  return {
    seconds: Math.floor(Date.parse(text.replace(/\.\d+/, '')) / 1000),
    nanos: fraction ? Number(fraction[1].padEnd(9, '0')) : 0,
  };
}

function valueOf(given) {
  const [kind, content] = Object.entries(given)[0];
  switch (kind) {
    case 'date': return { date: Date.parse(content + 'T00:00:00Z') / 86400000 };
    case 'octets': return { octets: Buffer.from(content, 'hex') };
    case 'amount': return { amount: amountOf(content) };
    case 'time': return { time: timeOf(content) };
    case 'list': return { list: { items: content.map(valueOf) } };
    case 'record': return { record: { fields: fieldsOf(content) } };
    default: return { [kind]: content };
  }
}

function fieldsOf(given) {
  return Object.entries(given).map(([name, value]) => ({ name, value: valueOf(value) }));
}

function encode(type, object) {
  const problem = type.verify(object);
  expect(problem === null, `${type.name}: ${problem}`);
  return Buffer.from(type.encode(type.create(object)).finish());
}

function bodyOf(types, options, ledgerId) {
  return {
    ledgerId,
    requestId: options['request-id'] ? Buffer.from(options['request-id'], 'hex')
      : crypto.randomBytes(16),
    onBehalf: options.party,
    salt: crypto.randomBytes(32),
    events: [{
      contract: options.contract,
      action: options.action,
      args: encode(types.args, { args: fieldsOf(JSON.parse(options.args)) }),
    }],
  };
}

function envelopeOf(types, options, bodyBytes) {
  const key = crypto.createPrivateKey(fs.readFileSync(options['party-key']));
  // An Ed25519 SubjectPublicKeyInfo ends in the 32 bytes of the key (RFC 8410).
  const spki = crypto.createPublicKey(key).export({ type: 'spki', format: 'der' });
  const message = Buffer.concat([Buffer.from('concordat/request/v1\n'), sha256(bodyBytes)]);
  return encode(types.envelope, {
    body: bodyBytes,
    signatures: [{
      keyId: sha256(spki.subarray(spki.length - 32)),
      signature: crypto.sign(null, message, key),
    }],
  });
}

// ---- calls ----

class Client {
  constructor(options) {
    const services = loadServices(options.proto);
    const roots = Buffer.concat(options.ca.map((file) => fs.readFileSync(file)));
    const credentials = grpc.credentials.createSsl(roots, fs.readFileSync(options.key),
      fs.readFileSync(options.cert));
    const settings = options['server-name']
      ? { 'grpc.ssl_target_name_override': options['server-name'] } : {};
    const open = (Service) => new Service(options.target, credentials, settings);
    this.timeout = Number(options.timeout) * 1000;
    this.ledger = open(services.concordat.v1.Ledger);
    this.operator = open(services.concordat.v1.Operator);
    this.health = open(services.grpc.health.v1.Health);
  }

  deadline() {
    return { deadline: Date.now() + this.timeout };
  }

  call(service, method, request) {
    return new Promise((resolve, reject) => {
      this[service][method](request, this.deadline(),
        (error, reply) => (error ? reject(error) : resolve(reply)));
    });
  }

  // The first `count` records from a position on; the stream is then given up.
  watch(position, count) {
    return new Promise((resolve, reject) => {
      const found = [];
      const stream = this.ledger.Watch({ from_position: position }, this.deadline());
      stream.on('data', (reply) => {
        found.push(...reply.entries);
        if (found.length >= count) {
          stream.cancel();
          resolve(found.slice(0, count));
        }
      });
      stream.on('error', reject); // after resolve, the CANCELLED of our own cancel changes nothing
      stream.on('end', () => reject(new Difference('Watch ended by itself')));
    });
  }

  close() {
    [this.ledger, this.operator, this.health].forEach((service) => service.close());
  }
}

function checkRecords(entries, reply, body, requestHash) {
  entries.forEach((entry, index) => {
    const outcome = reply.outcomes[index];
    expect(entry.position === outcome.position, 'position of a watched record');
    expect(entry.request_hash.equals(requestHash), 'request_hash of a watched record');
    expect(entry.event_index === index && entry.end === outcome.end, 'a watched record differs');
    const blind = sha256(body.salt, u32(index));
    expect(entry.record.includes(sha256(blind, entry.outcome)), 'the record lacks its outcome');
    expect(entry.record.includes(sha256(blind, entry.effects)), 'the record lacks its effects');
  });
}

async function run(client, options) {
  const types = loadTypes(options.proto);
  const health = await client.call('health', 'Check', {});
  const ledgerId = options['ledger-id'] ? Buffer.from(options['ledger-id'], 'hex')
    : (await client.call('operator', 'Status', {})).ledger_id;
  const body = bodyOf(types, options, ledgerId);
  const bodyBytes = encode(types.body, body);
  const envelope = envelopeOf(types, options, bodyBytes);
  const requestHash = sha256('concordat/body/v1\n', bodyBytes);
  const first = await client.call('ledger', 'Submit', { envelope });
  const again = await client.call('ledger', 'Submit', { envelope });
  const asked = await client.call('ledger', 'GetOutcome',
    { party: body.onBehalf, request_id: body.requestId });
  expect(first.request_hash.equals(requestHash), 'the reply speaks of another request');
  expect(first.outcomes.length === 1, 'one event, one outcome');
  for (const other of [again, asked]) {
    expect(JSON.stringify(other.outcomes) === JSON.stringify(first.outcomes),
      'the same request got another outcome');
    expect(other.digest.equals(first.digest) && other.height === first.height,
      'the same request got another digest or height');
  }
  expect(again.duplicate, 'a repeated request is not marked as a duplicate');
  const entries = await client.watch(first.outcomes[0].position, first.outcomes.length);
  checkRecords(entries, first, body, requestHash);
  const outcome = first.outcomes[0];
  return {
    client: 'grpc-js ' + require('@grpc/grpc-js/package.json').version,
    health: health.status,
    request_id: body.requestId.toString('hex'),
    height: Number(first.height),
    position: Number(outcome.position),
    end: outcome.end.slice('END_'.length),
    clause: outcome.clause,
    text: outcome.text,
    digest: first.digest.toString('hex'),
    outcome: JSON.parse(entries[0].outcome.toString()),
  };
}

function parse() {
  const { values } = parseArgs({ options: OPTIONS });
  const missing = NEEDED.filter((name) => values[name] === undefined);
  if (missing.length > 0) {
    throw new Error('missing: --' + missing.join(' --'));
  }
  return values;
}

function explain(error) {
  if (error instanceof Difference) {
    return { exit: 1, line: { difference: error.message } };
  }
  if (error.metadata === undefined) {
    return { exit: 3, line: { error: error.message } };
  }
  const trailer = (name) => (error.metadata.get(name)[0] ?? null);
  return {
    exit: 2,
    line: {
      code: grpc.status[error.code],
      message: error.details,
      reason: trailer('concordat-reason'),
      retry: trailer('concordat-retry'),
    },
  };
}

async function main() {
  let client;
  try {
    const options = parse();
    client = new Client(options);
    console.log(JSON.stringify(await run(client, options)));
  } catch (error) {
    const { exit, line } = explain(error);
    console.error(JSON.stringify(line));
    process.exitCode = exit;
  } finally {
    client?.close();
  }
}

main();
