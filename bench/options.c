#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/limits.h"

static const char HELP[] =
    "usage: concordat-load --address HOST:PORT... --ca FILE... --cert FILE --key FILE\n"
    "                      --origin NAME --ledger-id HEX --party NAME [options]\n"
    "\n"
    "Submits transfers in a closed loop and measures how long each request takes, from the moment\n"
    "before it is built and signed to its committed answer. bench/run calls it with a lab's "
    "files.\n"
    "\n"
    "  --contract FILE    contract text with the event 'pay'; --party-key FILE signs\n"
    "  --clients N        connections (1)          --in-flight N  requests of each under way (1)\n"
    "  --events N         events a request (1)     --accounts N   accounts that take part (1000)\n"
    "  --seconds N        measured (10)            --warmup N     seconds before that (2)\n"
    "  --prefix TEXT      first part of the accounts' names (load)\n"
    "  --rate N           requests a second, all clients together (as many as go)\n"
    "  --reads            asks for balances of accounts instead of sending transfers\n"
    "  --watch N          instead of load: receives N records, by --clients streams\n"
    "                     --watch-from POSITION of the first (0)\n"
    "  --note BYTES       random bytes that each transfer carries, in the argument 'note': 0 to "
    "4096 "
    "(0)\n"
    "  --acks FILE        writes the id of every acknowledged request\n"
    "  --check FILE       instead of load: asks for the outcome of every id in FILE;\n"
    "  --local            --check and --reads ask the node without the others\n"
    "\n"
    "A request that gets no answer is sent again, the same bytes, to the next address. With "
    "--rate\n"
    "a time begins when the request was due, so a stall counts for all that should have been "
    "sent.\n"
    "One JSON line is printed. Exit 0: all accepted or found; 1: some were not; 2: usage.\n"
    "\n"
    "example:\n"
    "  concordat-load --address 127.0.0.1:7101 --ca ville/keys/ca.crt --cert client.crt \\\n"
    "    --key client.key --origin concordat.example/lab --ledger-id 64HEX \\\n"
    "    --contract contracts/transfer.rules --party pmo.roquefort \\\n"
    "    --party-key pmo.roquefort.key --clients 64 --seconds 20\n";

enum option_id {
    OPTION_ADDRESS = 1,
    OPTION_CA,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_ORIGIN,
    OPTION_CONTRACT,
    OPTION_PARTY,
    OPTION_PARTY_KEY,
    OPTION_PREFIX,
    OPTION_ACKS,
    OPTION_CHECK,
    OPTION_LEDGER_ID,
    OPTION_CLIENTS,
    OPTION_IN_FLIGHT,
    OPTION_EVENTS,
    OPTION_ACCOUNTS,
    OPTION_SECONDS,
    OPTION_WARMUP,
    OPTION_RATE,
    OPTION_WATCH,
    OPTION_WATCH_FROM,
    OPTION_READS,
    OPTION_LOCAL,
    OPTION_NOTE,
    OPTION_HELP,
};

static const struct option TABLE[] = {
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"ca", required_argument, NULL, OPTION_CA},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"origin", required_argument, NULL, OPTION_ORIGIN},
    {"contract", required_argument, NULL, OPTION_CONTRACT},
    {"party", required_argument, NULL, OPTION_PARTY},
    {"party-key", required_argument, NULL, OPTION_PARTY_KEY},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"acks", required_argument, NULL, OPTION_ACKS},
    {"check", required_argument, NULL, OPTION_CHECK},
    {"ledger-id", required_argument, NULL, OPTION_LEDGER_ID},
    {"clients", required_argument, NULL, OPTION_CLIENTS},
    {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
    {"events", required_argument, NULL, OPTION_EVENTS},
    {"accounts", required_argument, NULL, OPTION_ACCOUNTS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"watch", required_argument, NULL, OPTION_WATCH},
    {"watch-from", required_argument, NULL, OPTION_WATCH_FROM},
    {"reads", no_argument, NULL, OPTION_READS},
    {"local", no_argument, NULL, OPTION_LOCAL},
    {"note", required_argument, NULL, OPTION_NOTE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "concordat-load: '%s' is no number from %u to %u\n", text, least, most);
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static bool append(const char **list, size_t *count, size_t most, const char *text)
{
    if (*count == most) {
        fprintf(stderr, "concordat-load: more than %zu of one kind: '%s'\n", most, text);
        return false;
    }
    list[(*count)++] = text;
    return true;
}

static bool take_ledger_id(const char *text, uint8_t ret[32])
{
    if (failed(hex_decode(bytes_text(text), ret, 32))) {
        fprintf(stderr, "concordat-load: '%s' is no ledger id of 64 hex digits\n", text);
        return false;
    }
    return true;
}

static bool take(struct options *o, enum option_id id, const char *text)
{
    switch (id) {
    case OPTION_ADDRESS:
        return append(o->addresses, &o->address_count, OPTIONS_ADDRESSES_MAX, text);
    case OPTION_CA:
        return append(o->cas, &o->ca_count, OPTIONS_CAS_MAX, text);
    case OPTION_CERT:
        return o->cert = text, true;
    case OPTION_KEY:
        return o->key = text, true;
    case OPTION_ORIGIN:
        return o->origin = text, true;
    case OPTION_CONTRACT:
        return o->contract = text, true;
    case OPTION_PARTY:
        return o->party = text, true;
    case OPTION_PARTY_KEY:
        return o->party_key = text, true;
    case OPTION_PREFIX:
        return o->prefix = text, true;
    case OPTION_ACKS:
        return o->acks = text, true;
    case OPTION_CHECK:
        return o->check = text, true;
    case OPTION_LEDGER_ID:
        return take_ledger_id(text, o->ledger_id);
    case OPTION_CLIENTS:
        return take_number(text, 1, OPTIONS_CLIENTS_MAX, &o->clients);
    case OPTION_IN_FLIGHT:
        return take_number(text, 1, OPTIONS_IN_FLIGHT_MAX, &o->in_flight);
    case OPTION_EVENTS:
        return take_number(text, 1, EVENTS_MAX, &o->events);
    case OPTION_ACCOUNTS:
        return take_number(text, 2, OPTIONS_ACCOUNTS_MAX, &o->accounts);
    case OPTION_SECONDS:
        return take_number(text, 1, OPTIONS_SECONDS_MAX, &o->seconds);
    case OPTION_WARMUP:
        return take_number(text, 0, OPTIONS_SECONDS_MAX, &o->warmup_seconds);
    case OPTION_RATE:
        return take_number(text, 1, OPTIONS_RATE_MAX, &o->rate);
    case OPTION_WATCH:
        return take_number(text, 1, OPTIONS_WATCH_MAX, &o->watch);
    case OPTION_WATCH_FROM:
        return take_number(text, 0, OPTIONS_WATCH_MAX, &o->watch_from);
    case OPTION_READS:
        return o->reads = true;
    case OPTION_LOCAL:
        return o->local = true;
    case OPTION_NOTE:
        return take_number(text, 0, OPTIONS_NOTE_MAX, &o->note);
    case OPTION_HELP:
        break;
    }
    return false;
}

/* The first thing that is missing, or NULL. */
static const char *missing(const struct options *o)
{
    const struct {
        bool there;
        const char *name;
    } wanted[] = {
        {o->address_count > 0, "address"},
        {o->ca_count > 0, "ca"},
        {o->cert != NULL, "cert"},
        {o->key != NULL, "key"},
        {o->origin != NULL, "origin"},
        {o->party != NULL, "party"},
        {o->check != NULL || o->watch > 0 || o->contract != NULL, "contract"},
        {o->check != NULL || o->watch > 0 || o->party_key != NULL, "party-key"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!wanted[i].there) {
            return wanted[i].name;
        }
    }
    return NULL;
}

int options_parse(int argc, char **argv, struct options *ret)
{
    *ret = (struct options){.prefix = "load",
                            .clients = 1,
                            .in_flight = 1,
                            .events = 1,
                            .accounts = 1000,
                            .seconds = 10,
                            .warmup_seconds = 2};
    for (;;) {
        int id = getopt_long(argc, argv, "", TABLE, NULL);
        if (id == -1) {
            break;
        }
        if (id == OPTION_HELP) {
            fputs(HELP, stdout);
            return 0;
        }
        if (id == '?' || !take(ret, (enum option_id)id, optarg)) {
            return 2;
        }
    }
    const char *absent = missing(ret);
    if (optind < argc || absent != NULL) {
        fprintf(stderr, "concordat-load: %s%s; see --help\n",
                optind < argc ? "not an option: " : "there is no --",
                optind < argc ? argv[optind] : absent);
        return 2;
    }
    return -1;
}
