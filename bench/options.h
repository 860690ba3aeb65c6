/* The command line of the load generator. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OPTIONS_ADDRESSES_MAX = 16,
    OPTIONS_CAS_MAX = 16,
    OPTIONS_CLIENTS_MAX = 1024,  /* one connection each: 55 KiB in the server */
    OPTIONS_IN_FLIGHT_MAX = 128, /* of a client: a connection carries no more calls */
    OPTIONS_SECONDS_MAX = 86400,
    OPTIONS_ACCOUNTS_MAX = 1 << 22,
    OPTIONS_RATE_MAX = 1000000, /* requests a second */
    OPTIONS_WATCH_MAX = 1 << 30,
    OPTIONS_NOTE_MAX = 4096, /* bytes(n) of the contract language goes so far */
};

/* Texts belong to argv. */
struct options {
    const char *addresses[OPTIONS_ADDRESSES_MAX]; /* "host:port" */
    size_t address_count;
    const char *cas[OPTIONS_CAS_MAX]; /* PEM files */
    size_t ca_count;
    const char *cert, *key;        /* of the connection */
    const char *origin;            /* that the nodes' certificates must name */
    const char *contract;          /* file of the contract text */
    const char *party, *party_key; /* who signs */
    const char *prefix;            /* of account names */
    const char *acks, *check;      /* files of request ids; NULL: none */
    uint8_t ledger_id[32];
    uint32_t clients, in_flight, events, accounts, seconds, warmup_seconds;
    uint32_t rate;       /* requests a second of all clients together; 0: as many as go */
    uint32_t watch;      /* instead of load: this many records are watched; 0: load */
    uint32_t watch_from; /* position of the first */
    bool local, reads;   /* reads: balances are asked for instead of transfers sent */
    uint32_t note; /* random bytes that each transfer carries; 0: none */
};

/* Reads the command line. Returns -1 to go on; else the exit code, after what there was to say. */
int options_parse(int argc, char **argv, struct options *ret);

#endif
