/* Every limit of Concordat, each with its reason. Relations between them are asserted below.
 * Sections are kept by layer, lowest first; a limit is used by name, never by value. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <assert.h>
#include <stdint.h>

/* ---- requests and blocks: sizes nest (docs/ARCHITECTURE.md, "Blocks and sizes") ---- */
enum {
    ARGS_BYTES_MAX = 256 << 10, /* arguments of one event: a day of readings of 150 members fits */
    BODY_BYTES_MAX = 1 << 20,   /* signed body: one leader round trip of a 1 Gbit/s link, 8 ms */
    ENVELOPE_BYTES_MAX = BODY_BYTES_MAX + 1024, /* plus 8 signatures and framing */
    BLOCK_BYTES_MAX = (1 << 20) + (64 << 10),   /* one envelope of the greatest size and a header */
    PEER_FRAME_BYTES_MAX = 2 << 20,             /* one block and the Raft message around it */
    GRPC_MESSAGE_BYTES_MAX = 4 << 20,           /* what stock clients accept by default */
    EVENTS_MAX = 4096,             /* of a request and of a block: apply stays under a second */
    SIGNATURES_MAX = 8,            /* of a request: rules 1 allows 8 signers of one event */
    PARTY_KEYS_MAX = 16,           /* keys one party may have registered, revoked ones included */
    NAME_BYTES_MAX = 64,           /* party, institution, node, contract: fits a label on paper */
    ORIGIN_BYTES_MAX = 128,        /* first line of every tree head */
    ADDRESS_BYTES_MAX = 128,       /* host:port; a DNS label sequence we are ready to print */
    CERT_BYTES_MAX = 8192,         /* one DER certificate */
    GENESIS_BYTES_MAX = 1 << 20,   /* contracts included */
    CONTRACT_BYTES_MAX = 262144,   /* rules 1, section 17 */
};
#define REQUEST_STEPS_MAX INT64_C(500000000) /* summed static bounds: some 4 s of evaluation */
#define REQUEST_EFFECTS_MAX INT64_C(4000000)
#define REQUEST_BYTES_MAX INT64_C(1073741824)

static_assert(ARGS_BYTES_MAX <= BODY_BYTES_MAX, "an event fits a body");
static_assert(BODY_BYTES_MAX < ENVELOPE_BYTES_MAX, "a body fits an envelope");
static_assert(ENVELOPE_BYTES_MAX < BLOCK_BYTES_MAX, "an envelope fits a block");
static_assert(BLOCK_BYTES_MAX < PEER_FRAME_BYTES_MAX, "a block fits a peer frame");
static_assert(PEER_FRAME_BYTES_MAX < GRPC_MESSAGE_BYTES_MAX, "and that a gRPC message");

/* ---- the network of institutions ---- */
enum {
    INSTITUTIONS_MIN = 3, /* founding needs three voters (docs/ARCHITECTURE.md, trap T14) */
    INSTITUTIONS_MAX = 7, /* more voters only cost latency */
    NODES_MAX = 16,       /* voters, standbys and the ones being replaced */
    BLOCKS_IN_FLIGHT_MAX = 8, /* to one follower: 8 MiB, under a heartbeat at 1 Gbit/s */
};

/* ---- net: connections, HTTP/2, gRPC ---- */
enum {
    POOL_THREADS_MAX = 16,            /* a node is a small machine; more only adds switching */
    TLS_CERTS_MAX = 64,               /* CA certificates in one list: 7 institutions, 8 each */
    CONN_FILL_BYTES = 256 << 10,      /* output gathered before a send: 4 full TLS writes deep */
    CONN_OUT_BYTES_MAX = 6 << 20,     /* hard stop: one gRPC message or peer frame and a reserve */
    LISTENER_BACKLOG = 512,           /* a fleet of clients that reconnects at once */
    LISTENER_ACCEPTS_A_TURN = 32,     /* so that a flood of connects leaves room for others */
    LISTENER_CONNS_MAX = 4096,        /* 55 KiB each: 220 MiB */
    LISTENER_CONNS_PER_ADDRESS_MAX = 256, /* an institution's clients may share one address */
    LISTENER_HANDSHAKES_MAX = 8,      /* 2 ms of CPU each: a turn stays under 16 ms */
    LISTENER_WAITING_MAX = 512,       /* accepted, waiting for their handshake */
    H2_HEADER_LIST_MAX = 16384,       /* name + value + 32 each, as RFC 9113 6.5.2 counts */
    H2_HEADERS_MAX = 96,              /* fields of one list: stock clients send about 12 */
    H2_STREAM_WINDOW = 1 << 20,       /* inbound: a 1 Gbit/s link at 8 ms */
    H2_CONN_WINDOW = 8 << 20,         /* several large requests at once */
    H2_EMPTY_FRAMES_MAX = 100,        /* DATA without content in a row: nobody needs it */
    H2_RESETS_MAX = 200,              /* burst of stream resets; then H2_RESETS_A_SECOND */
    H2_RESETS_A_SECOND = 100,
    H2_CONTINUATIONS_MAX = 8,         /* CVE-2024-28182; a 16 KiB list needs one */
    H2_ACKS_MAX = 100,                /* unsent PING and SETTINGS answers: CVE-2019-9512 */
    H2_SETTINGS_MAX = 32,             /* entries of one SETTINGS frame */
    H2_FRAMES_BURST = 16384,          /* frames that carry nothing, before the rate counts */
    GRPC_STREAMS_MAX = 128,           /* calls at once on a connection */
    GRPC_STREAM_OUT_BYTES = 64 << 10, /* queued output at which a stream is asked no more */
    GRPC_CONN_OUT_BYTES_MAX = 8 << 20,    /* a window-0 client with many calls holds this much */
    GRPC_SERVER_OUT_BYTES_MAX = 256 << 20, /* all connections together */
    GRPC_CONN_IN_BYTES_MAX = 32 << 20,    /* requests that one connection has announced */
    GRPC_SERVER_IN_BYTES_MAX = 256 << 20, /* all connections together */
    GRPC_TEXT_BYTES_MAX = 1024,       /* grpc-message: proxies cut longer ones */
    GRPC_TRAILERS_MAX = 6,            /* custom trailers of one answer */
    GRPC_TRAILER_BYTES_MAX = 256,
    GRPC_METHODS_MAX = 128,           /* services of a node, reflection included */
    GRPC_LISTENERS_MAX = 8,           /* addresses one server listens on */
    GRPC_CONNS_PER_PEER_MAX = 64,     /* connections of one identity */
    GRPC_PING_STRIKES_MAX = 2,        /* gRPC A8: then GOAWAY too_many_pings */
    GRPC_WAITING_CALLS_MAX = 65536,   /* client: calls that wait for a free stream */
};
#define CONN_HANDSHAKE_NS (UINT64_C(5) * 1000000000)  /* TCP and TLS: 20 slow round trips */
#define CONN_STALL_NS (UINT64_C(30) * 1000000000)     /* output that nobody takes */
#define CONN_LINGER_NS (UINT64_C(1) * 1000000000)     /* so that the last bytes arrive */
#define H2_PREFACE_NS (UINT64_C(5) * 1000000000)      /* preface and SETTINGS after the handshake */
#define GRPC_BODY_STALL_NS (UINT64_C(30) * 1000000000)  /* a request that stops growing */
#define GRPC_IDLE_NS (UINT64_C(600) * 1000000000)     /* a connection without calls */
#define GRPC_PING_NS (UINT64_C(7200) * 1000000000)    /* gRPC A9: asks a silent client for life */
#define GRPC_PING_TIMEOUT_NS (UINT64_C(20) * 1000000000)
#define GRPC_PING_BUSY_NS (UINT64_C(9) * 1000000000)  /* closer pings are strikes while calls run */
#define GRPC_CONNECT_NS (UINT64_C(5) * 1000000000)

static_assert((int)GRPC_MESSAGE_BYTES_MAX + CONN_FILL_BYTES < CONN_OUT_BYTES_MAX, "an answer fits");
static_assert((int)PEER_FRAME_BYTES_MAX + CONN_FILL_BYTES < CONN_OUT_BYTES_MAX, "a frame fits");
static_assert((int)GRPC_MESSAGE_BYTES_MAX < (int)GRPC_CONN_OUT_BYTES_MAX, "an answer fits");
static_assert((int)GRPC_MESSAGE_BYTES_MAX < (int)GRPC_CONN_IN_BYTES_MAX, "a request fits");

/* ---- consensus ---- */
enum {
    LOG_CACHE_BYTES_MAX = 64 << 20,   /* payloads kept for followers: 64 full blocks */
    APPEND_ENTRIES_MAX = 1024,        /* in one frame: bounds what a decoder allocates */
    APPEND_FRAME_HEAD_BYTES_MAX = 128, /* AppendEntries without its entries, and one entry's head */
    MANIFEST_BYTES_MAX = 256 << 10,   /* of a checkpoint: some thousand file names with digests */
    READS_WAITING_MAX = 4096,         /* linearizable reads that wait for one confirmation */
};
/* A frame may raise the term by this much at most: thirteen years of ten elections a second; so
 * that no peer can use up the terms. */
#define TERM_JUMP_MAX (UINT64_C(1) << 32)
/* Of terms, indexes and sequence numbers: sums of two of them do not wrap. */
#define RAFT_NUMBER_MAX (UINT64_C(1) << 62)

static_assert((int)BLOCK_BYTES_MAX + (int)APPEND_FRAME_HEAD_BYTES_MAX <= (int)PEER_FRAME_BYTES_MAX,
              "an entry fits a frame");
static_assert((int)MANIFEST_BYTES_MAX + 1024 <= (int)PEER_FRAME_BYTES_MAX, "a manifest fits");

/* ---- keys and peer links ---- */
enum {
    VERIFIER_KEYS_MAX = 256, /* decoded public keys a verifier keeps: some 1 KiB each */
    KEYFILE_BYTES_MAX = 64 << 10, /* a PEM chain of five certificates with their texts */
    PEER_QUEUE_BYTES_MAX = 16 << 20, /* to one peer: the blocks in flight and as much again */
    PEER_CONNS_MAX = 256,         /* accepted, most of them strangers in their handshake */
    PEER_CONNS_PER_ADDRESS_MAX = 48, /* several nodes may live behind one address */
    PEER_SEND_TIMEOUT_MS = 10000, /* bytes that the peer's machine does not acknowledge */
};
#define PEER_HELLO_NS (UINT64_C(5) * 1000000000)    /* from the handshake to the welcome */
#define PEER_SILENCE_NS (UINT64_C(10) * 1000000000) /* several elections: the peer is gone */
#define PEER_REDIAL_MIN_NS (UINT64_C(100) * 1000000)  /* a restarted peer is found at once */
#define PEER_REDIAL_MAX_NS (UINT64_C(2) * 1000000000) /* a dead one costs next to nothing */

static_assert((int)BLOCKS_IN_FLIGHT_MAX * (int)BLOCK_BYTES_MAX < (int)PEER_QUEUE_BYTES_MAX,
              "the blocks in flight fit the queue of a peer");

/* ---- what an outsider checks: notes, policies, proofs ---- */
enum {
    NOTE_NAME_BYTES_MAX = 256,   /* origin, institution and a number */
    NOTE_SIGNATURES_MAX = 64,    /* two of each of 16 nodes, and as many outside witnesses */
    NOTE_BYTES_MAX = 64 << 10,   /* of which a few may be post-quantum ones of 5 KiB */
    POLICY_BYTES_MAX = 64 << 10, /* a line of 200 bytes for each of the names below */
    POLICY_LOGS_MAX = 64,        /* log keys: two of each node */
    POLICY_NAMES_MAX = 128,      /* witnesses and groups; the specification asks for 32 each */
    PROOF_BYTES_MAX = 192 << 10, /* a record in base64, 64 hashes and a checkpoint */
    TILE_PATH_BYTES_MAX = 64,    /* six groups of digits, and the words around them */
    PROOF_EXTRA_BYTES_MAX = 64 << 10, /* a record: its names and texts have limits of their own */
    STATEMENT_BYTES_MAX = 256 << 20, /* a year of quarter-hours at 2.3 KiB a record, three times */
    STATEMENT_ACCOUNT_BYTES_MAX = 68 << 10, /* an account of eight string(4096), all octets 00 */
    STATEMENT_RECORD_BYTES_MAX = 1 << 10,   /* a record has 336 bytes today */
    STATEMENT_MARKS_MAX = 64,        /* of a statement: a line of each key of NODES_MAX, and more */
    STATEMENT_ENTRY_ARENA_MAX = 128 << 20, /* one record with RULES_EFFECTS_MAX postings of one
                                       account, with counter accounts of a kibibyte */
};

/* ---- tree heads between nodes ---- */
enum {
    HEADS_KEPT = 4,            /* of each signer: honest nodes are two heads apart at most */
    HEAD_LINES_BYTES_MAX = 1024, /* two signature lines with names of NOTE_NAME_BYTES_MAX */
    HEAD_NOTE_BYTES_MAX = 2048,  /* one signer's note: origin, size and root before them */
    HEADS_PATIENCE = 3,        /* intervals until an incomplete head is given up, or a leader that
                                  proposes none is not waited for any more */
    HEADS_PATIENCE_MAX = 64,   /* so much at most when node after node is late */
    HEADS_STALE_INTERVALS = 10, /* without a complete head although records came: an alarm, */
    HEADS_STORED_MAX = 1024,   /* complete checkpoints kept besides the first of each day */
    EVIDENCE_MAX = NODES_MAX,  /* one pair of notes for each node that lied */
};
#define HEADS_STALE_NS (UINT64_C(10) * 1000000000) /* and a restart of a node besides */
static_assert(2 * (4 + (int)NOTE_NAME_BYTES_MAX + 1 + 108) <= (int)HEAD_LINES_BYTES_MAX,
              "two lines fit");

/* ---- rules: numbers and civil time ---- */
enum {
    DURATION_TEXT_BYTES_MAX = 4096, /* the longest string(n); bounds the exact sum's stack */
};

/* ---- server: requests, blocks and reads under way in one node ---- */
enum {
    VERIFY_JOBS_MAX = 8192,           /* signature jobs queued: under a second of two workers */
    INFLIGHT_MAX = 16384,             /* requests without an answer yet: seconds of work */
    INFLIGHT_BYTES_MAX = 64 << 20,    /* their envelopes: what a node may hold for clients */
    INFLIGHT_SOURCE_MAX = INFLIGHT_MAX / 8, /* of one client, or through one other node: seven
                                       hostile ones leave room for the others */
    INFLIGHT_SOURCE_BYTES_MAX = INFLIGHT_BYTES_MAX / 8,
    INFLIGHT_SOURCE_NAME_MAX = 2 * NAME_BYTES_MAX + 16,
    INFLIGHT_PARTY_MAX = INFLIGHT_MAX / 8, /* verified and not answered, of one party */
    GOVERNANCE_FIRST_MAX = 64,        /* of a block, while business waits: no officer stops it */
    BLOCK_REQUESTS_WANTED = 512,      /* a block takes no more: whoever comes next waits for four
                                       blocks at most, and larger ones are hardly cheaper */
    BLOCKS_PROPOSED_MAX = 4,          /* proposed and not applied here: more adds only latency */
    APPLY_STEP_EVENTS = 1,            /* between two looks at the clock: an event may take 40 ms */
    ARCHIVE_ANSWER_BYTES_MAX = 1 << 20, /* of blocks, and one block more: a page holds both */
    ARCHIVE_BLOCKS_MAX = 256,     /* small ones */
    ARCHIVE_HEADS_MAX = 256,      /* of some KiB each */
    QUERY_BYTES_MAX = 16 << 10,       /* names, a key and a page token; many may wait at once */
    SIMULATE_BYTES_MAX = (1 << 20) + (16 << 10), /* an envelope, and who else is assumed to sign */
    DECISIONS_MAX = 32,               /* dry runs and explanations that wait: 3 s at the dearest */
    READS_MAX = 16384,                /* queries that wait for a confirmed term */
    ARENA_SLACK = 8192,               /* rounding of what an arena holds besides its main content */
    CHAIN_ENTRIES_MAX = 32,           /* blocks kept in memory to be applied; more are read back */
    ALARMS_RAISED_MAX = 64,           /* (code, node) pairs: four of each node of the table */
    GARBLED_FRAMES_ALARM = 3,         /* malformed frames of one node: no accident any more */
    LEADERS_KEPT = 16,                /* terms whose leader is remembered, to name it in alarms */
    CATCH_UP_BLOCKS = 64,             /* a node further behind says so instead of answering */
};
#define APPLY_SLICE_NS (UINT64_C(5) * 1000000)       /* then the loop turns: heartbeats go first */
#define SUBMIT_TIMEOUT_NS (UINT64_C(30) * 1000000000) /* then a waiting client hears UNKNOWN */
#define READ_TIMEOUT_NS (UINT64_C(5) * 1000000000)    /* several elections */
#define CLOCK_AHEAD_NS_MAX (UINT64_C(2) * 1000000000) /* of a block over the voters' median clock */
/* 2200-01-01: no honest clock says more, and calendars and timers count on below it. */
#define BLOCK_TIME_NS_MAX (UINT64_C(7258118400) * 1000000000)
#define ALARM_CLOCK_NS (UINT64_C(60) * 1000000000)    /* then the clock is well again */
#define GOSSIP_NS (UINT64_C(1) * 1000000000)          /* how old a figure in status may be */
#define DRAIN_NS (UINT64_C(10) * 1000000000)          /* SIGTERM: calls in flight get this long */
#define TOLD_FRESH_NS (UINT64_C(5) * 1000000000)      /* what a node said of itself still holds */
#define DISK_HAND_OVER_NS (UINT64_C(5) * 1000000000)  /* between two tries, so that none flaps */
#define FAIL_HAND_OVER_NS (UINT64_C(200) * 1000000)   /* a leader that must stop waits this long */
enum {
    DISK_LOW_MIB = 512,  /* default: eight log segments and some state */
    SCRUB_PERIOD_S = 86400, /* default: damage is a day old at most */
    SCRUB_RATE_MIB = 8,  /* default, a second: a tenth of a slow disk; 28 GiB an hour */
    DISK_STOP_MIB = 192, /* default: one segment made in advance and one table being merged */
};

static_assert((int)ENVELOPE_BYTES_MAX < (int)SIMULATE_BYTES_MAX, "an envelope can be tried");

/* ---- storage: the Raft log ---- */
enum {
    LOG_SEGMENT_BYTES = 64 << 20,     /* a new file every 60 full blocks; read at once at start */
    LOG_SEGMENT_BYTES_MAX = 256 << 20, /* of a file that is read: more is not ours */
    LOG_SEGMENTS_MAX = 4096,          /* 256 GiB of log: snapshots should have cut it long before */
    LOG_ENTRY_BYTES_MAX = 2 << 20,    /* what a peer frame may carry */
    LOG_JOB_BYTES_MAX = 16 << 20,     /* entries of one job, heads included: atomic in one write */
    LOG_GROUP_BYTES_MAX = 4 << 20,    /* jobs that share a sync: 20 ms of a disk of 200 MB/s */
    LOG_MANIFEST_BYTES_MAX = 1 << 20, /* the manifest of a checkpoint and the owner's intents */
    LOG_RECENT_SYNCS = 64,            /* seconds of load: what a disk is like now, not ever */
    LOG_ENTRY_TYPE_MAX = 127,         /* types above are the log's own records */
};

static_assert(LOG_JOB_BYTES_MAX + 4096 <= LOG_SEGMENT_BYTES, "a job fits a segment");
static_assert(LOG_SEGMENT_BYTES <= LOG_SEGMENT_BYTES_MAX, "what is written can be read");
static_assert((int)PEER_FRAME_BYTES_MAX <= (int)LOG_ENTRY_BYTES_MAX, "a frame fits the log");
static_assert((int)MANIFEST_BYTES_MAX < (int)LOG_MANIFEST_BYTES_MAX, "a manifest fits");

/* ---- storage: flat directories ---- */
enum {
    TREE_NAME_BYTES_MAX = 64, /* of a file: RocksDB's longest has some 30 */
    TREE_FILES_MAX = 8192,    /* in one directory: a state of 500 GB */
};

/* ---- server: checkpoints ---- */
enum {
    CHECKPOINTS_KEPT_MAX = 64,      /* known by name: ten minutes of full load */
    CHECKPOINTS_TOLD_MAX = 4,       /* announced: a node that installs may be behind */
    CHECKPOINT_CONF_BYTES_MAX = 4096, /* a configuration of NODES_MAX servers takes 1 KiB */
    CHECKPOINT_RECORD_BYTES_MAX = MANIFEST_BYTES_MAX + CHECKPOINT_CONF_BYTES_MAX + 64,
    CHECKPOINT_CACHE_BYTES = 8 << 20, /* blocks of a checkpoint that is read through once */
    CHECKPOINT_JOBS_MAX = 16,       /* queued for the one worker that does the long work */
    FETCH_CHUNK_BYTES = 128 << 10,  /* 10 ms at 100 Mbit/s: what a heartbeat may have to wait for */
    FETCH_WINDOW = 4,               /* chunks asked for and not written yet */
    SERVE_QUEUE_MAX = 8 * NODES_MAX, /* chunks that peers wait for: twice what honest ones ask */
    FETCH_ROUNDS_MAX = 3,           /* damaged files are fetched again so often from one source */
};
#define CHECKPOINT_BYTES_DEFAULT (UINT64_C(256) << 20) /* a minute of full load between two */
#define CHECKPOINT_AHEAD_BYTES (UINT64_C(4) << 20) /* flushed before: then apply pauses briefly */
#define LOG_TAIL_BYTES_DEFAULT (UINT64_C(64) << 20) /* a follower may be 10 s of full load behind */
#define SNAPSHOT_RATE_DEFAULT (UINT64_C(64) << 20) /* half of a 1 Gbit/s link, to all together */
#define FETCH_STALL_NS (UINT64_C(5) * 1000000000)   /* without a chunk: ask again, or another */
#define FETCH_GIVE_UP_NS (UINT64_C(30) * 1000000000) /* nobody has it: start over from the log */
#define FETCH_AGREE_NS (UINT64_C(60) * 1000000000) /* no majority confirms: start over */
#define SERVE_IDLE_NS (UINT64_C(60) * 1000000000)   /* a checkpoint nobody pulls may go */

static_assert((int)FETCH_CHUNK_BYTES * FETCH_WINDOW < (int)PEER_QUEUE_BYTES_MAX,
              "the chunks of a window fit the queue of a peer");
static_assert((int)CHECKPOINT_RECORD_BYTES_MAX <= (int)LOG_MANIFEST_BYTES_MAX,
              "what the log keeps of a checkpoint fits");

/* ---- storage: key-value ---- */
enum {
    KV_FAMILIES_MAX = 32,              /* each costs a memtable and files */
    KV_FAMILY_NAME_MAX = 32,
    KV_PACK_VALUES = 64,               /* stored together: reading one walks past these */
    KV_PACK_BYTES = 32 << 10,          /* and reads two or three blocks of a table */
    KV_PREFIX_BYTES_MAX = 255,
    KV_WRITE_BUFFER_BYTES = 24 << 20,  /* all families; twice that while one flush runs */
    KV_BLOCK_CACHE_BYTES = 48 << 20,   /* a node stays under 256 MiB with 250,000 readings */
    KV_OPEN_FILES_MAX = 256,           /* table files kept open */
    KV_BACKGROUND_JOBS = 2,            /* one flush and one compaction: nodes have two cores */
};

/* ---- rules: the language (section 17 of its definition unless said otherwise) ---- */
enum {
    RULES_NAME_MAX = 40,           /* characters of a name */
    RULES_NESTING_MAX = 64,        /* of expressions */
    RULES_TREE_DEPTH_MAX = 512,    /* of an expression with its chains: 150 KiB of stack */
    RULES_BLOCKS_MAX = 16,         /* nesting of blocks */
    RULES_CLAUSE_MAX = 8,          /* characters of a clause number */
    RULES_REASON_MAX = 200,        /* bytes of the text after else */
    RULES_TEXT_MAX = 4096,         /* n of string(n) and bytes(n) */
    RULES_LIST_MAX = 10000,        /* items of a list, rows of a table per first key */
    RULES_PARTY_MAX = 64,          /* characters of a party name */
    RULES_KEYS_MAX = 8,            /* key fields of a table, family or tally */
    RULES_FIELDS_MAX = 256,        /* fields of a record or row */
    RULES_TYPE_NODES_MAX = 4096,   /* in a record, the inner ones counted: walks stay short */
    RULES_TYPE_DEPTH_MAX = 16,     /* of records and lists: arguments have RULES_ARGS_DEPTH_MAX */
    RULES_ARGS_MAX = 60,           /* of an event: sets of them are 64-bit masks */
    RULES_SLOTS_MAX = 4096,        /* names bound in one event: 128 KiB of values */
    RULES_DECLS_MAX = 2000,        /* names of a header: found by walking */
    RULES_ELSE_IFS_MAX = 64,       /* of one chain */
    RULES_SIGNERS_MAX = 8,         /* of one event */
    RULES_TIMERS_WAITING_MAX = 10000, /* of one contract */
    RULES_TIMER_DELAY_S = 60,      /* at least, so that a timer cannot make its own loop */
    RULES_REGISTRY_LINES_MAX = 256, /* a few currencies for each place of a region */
    RULES_REGISTRY_BYTES_MAX = 64 << 10,
    RULES_ARGS_DEPTH_MAX = 8,      /* nesting of encoded arguments */
    RULES_JSON_DEPTH_MAX = 32,     /* of an input line: arguments and what is around them */
    RULES_JSON_BYTES_MAX = 4 << 20, /* of an input line */
    RULES_STEPS_MAX = 5000000,     /* of one event: some 40 ms */
    RULES_EFFECTS_MAX = 50000,
    RULES_BYTES_MAX = 16 << 20,    /* effects and trace of one event */
    RULES_ARENA_MAX = 64 << 20,    /* as section 12.2 counts it */
    RULES_ARENA_RESERVE = 8 << 20, /* taken before evaluation, which then asks for nothing */
    RULES_COMPILE_ARENA_MAX = 256 << 20, /* a text of the greatest size has under 262,144 tokens */
};
/* What rules_apply may take from its arena: section 12.2 counts 16 bytes a scalar, memory holds 32,
 * and effects exist once as structures and once as bytes. */
#define RULES_APPLY_ARENA_MAX (UINT64_C(1) << 30)

static_assert((int)RULES_PARTY_MAX == (int)NAME_BYTES_MAX, "a signer's name is a party");

/* ---- the ledger's state ---- */
enum {
    ROW_BYTES_MAX = 64 << 20,         /* a key or value in the state: the arena of one event */
    ROW_CACHE_BYTES_MAX = 32 << 20,   /* some 150,000 rows of 100 bytes stay in memory */
    ROW_CACHE_SLOT_BYTES = 96,        /* the map's own memory a row, on average */
    ROW_COUNTS_BYTES_MAX = 16 << 20,  /* 100,000 first keys whose rows are counted */
    ACCOUNTS_CACHED_MAX = 1 << 18,    /* 300 bytes each: 75 MiB; others are read when touched */
    TILES_CACHED_MAX = 16,            /* of the tree of records, 16 KiB each: two proofs' worth */
    PARTIES_MAX = 1 << 16,            /* signers of one ledger, all in memory: 40 MiB with keys */
    CONTRACTS_MAX = 4096,             /* versions of all contracts, all compiled */
    NODES_LIVE_MAX = 12,              /* rows in force: NODES_MAX less those that are leaving */
    NODES_EVER_MAX = 1024,            /* ids of one ledger, none reused: two new ones a week for
                                         ten years; 1 KiB of memory each */
    VOTERS_MIN = INSTITUTIONS_MIN,    /* two voters survive nothing and cannot grow (trap T14) */
    VOTERS_MAX = INSTITUTIONS_MAX,    /* more only cost latency */
    TIMERS_WAITING_MAX = 10000,       /* of one contract (rules 1, section 17) */
    RECORDS_ANSWER_BYTES_MAX = 1 << 20, /* records of one page: a quarter of a gRPC message */
    LEDGER_QUERY_ARENA_MAX = 128 << 20, /* one page of the largest rows */
    INPUTS_BYTES_MAX = 1 << 20,       /* what one event read: a month of 3000 rows takes 200 KiB */
    INPUTS_BLOCK_BYTES_MAX = 16 << 20, /* of one block: what a hostile contract adds to the disk */
    SIMULATE_STEPS_MAX = 1500000,     /* of a dry run, bounds summed: under 100 ms of the loop */
    SIMULATE_EVENTS_MAX = 256,        /* and as many outcomes in one answer */
    TIMER_CHAIN_MAX = 4096,           /* timers that each scheduled the next: 11 years of days */
    TRACE_ANSWER_BYTES_MAX = 1 << 20, /* a longer trace is told in words only */
    EXPLAIN_TEXT_BYTES_MAX = 1 << 20, /* 200 entries, each with a list of a community's members */
};
static_assert((int)NODES_LIVE_MAX < (int)NODES_MAX, "a node may leave while another one comes");
static_assert((int)VOTERS_MAX <= (int)NODES_LIVE_MAX, "all voters have a row");
static_assert((int)INPUTS_BYTES_MAX <= (int)INPUTS_BLOCK_BYTES_MAX, "an event fits its block");
/* Changes of one block: three times REQUEST_BYTES_MAX, which bounds the text of its effects. Only a
 * contract that a majority deployed comes near. */
#define OVERLAY_BYTES_MAX (UINT64_C(4) << 30)
/* What a contract's examples may cost at deployment, as steps: five deployments fill a block. */
#define DEPLOY_STEPS (REQUEST_STEPS_MAX / 5)

/* ---- proto: genesis, messages ---- */
enum {
    CA_CERTS_MAX = 4,            /* of an institution: the one in use, its successor, and spares */
    GOVERNANCE_KEYS_MAX = 8,     /* of an institution: persons who may sign for it */
    OFFICERS_MAX = 32,           /* of an institution: who registers its parties */
    SPKI_BYTES_MAX = 128,        /* a P-256 SubjectPublicKeyInfo takes 91 */
    MEASURES_MAX = 256,          /* lines of the registry (rules 1, section 4.2) */
    MEASURE_BYTES_MAX = 128,     /* one line of it */
    GENESIS_PARTIES_MAX = 4096,  /* parties known from the start; later ones are registered */
    GENESIS_CONTRACTS_MAX = 64,  /* contracts in force from the start */
    HEAD_INTERVAL_MS_MIN = 100,  /* ten signed heads a second are as good as one a block */
    HEAD_INTERVAL_MS_MAX = 3600000, /* an hour: longer, and a receipt is no answer */
    GENESIS_ARENA_MAX = 8 << 20, /* decoding one: every list at its limit */
    PAGE_SIZE_MAX = 1000,        /* items of a page: of some 4 KiB at most, in a 4 MiB message */
    UNPACK_BYTES_FACTOR = 4,     /* memory to unpack a message: so many times its bytes, which */
    UNPACK_BYTES_EXTRA = 1 << 20, /* covers honest ones (outcomes, rows), and this */
};

#endif
