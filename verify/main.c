/* concordat-verify: checks receipts and statements of a ledger, offline. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "verify/run.h"

static const char HELP[] =
    "usage: concordat-verify receipt FILE --policy POLICY [--request FILE] [--key ed25519:...]\n"
    "                        [--outcome FILE] [--effects FILE] [--trace FILE] [--salt HEX]\n"
    "       concordat-verify statement FILE --policy POLICY [--from WHEN] [--to WHEN]\n"
    "       concordat-verify consistency FILE --old CHECKPOINT --policy POLICY\n"
    "\n"
    "Checks, without network and without any node, what a ledger's institutions have signed.\n"
    "\n"
    "  --policy POLICY   who the institutions are; get it from somebody you believe, and compare\n"
    "                    its last line\n"
    "  --unsealed        take a policy without that last line (any c2sp.org/tlog-policy)\n"
    "  --request FILE    the request as it was sent: is the record the answer to it?\n"
    "  --key KEY         a public key that must have signed the request; may repeat\n"
    "  --outcome FILE    what was decided, --effects what it changed, --trace why: are they what\n"
    "                    was recorded? Needs --request, or of a timer --salt\n"
    "  --salt HEX        the salt of the request that led to a timer\n"
    "  --from, --to      of the statement only this range: a position, or a day (UTC); it must be\n"
    "                    complete there\n"
    "  --old CHECKPOINT  what one knew before: a checkpoint or a receipt\n"
    "  --json            one JSON object\n"
    "  --help, --version\n"
    "\n"
    "exit code: 0 proved, 1 not proved (the reason is told), 2 wrong use or no such file\n"
    "\n"
    "examples:\n"
    "  concordat-verify receipt bill.receipt --policy roquefort.policy --request bill.request\n"
    "  concordat-verify statement june.statement --policy roquefort.policy --from 2026-06-01 \\\n"
    "      --to 2026-07-01\n";

static int usage(const char *what)
{
    (void)fprintf(stderr, "concordat-verify: %s; see concordat-verify --help\n", what);
    return VERIFY_USAGE;
}

/* Options in the order of this table; the index is what getopt_long returns, from 1. */
enum {
    O_POLICY = 1,
    O_REQUEST,
    O_OUTCOME,
    O_EFFECTS,
    O_TRACE,
    O_SALT,
    O_FROM,
    O_TO,
    O_OLD,
    O_KEY,
    O_UNSEALED,
    O_JSON,
    O_HELP,
    O_VERSION
};

static const struct option OPTIONS[] = {
    {"policy", required_argument, NULL, O_POLICY},
    {"request", required_argument, NULL, O_REQUEST},
    {"outcome", required_argument, NULL, O_OUTCOME},
    {"effects", required_argument, NULL, O_EFFECTS},
    {"trace", required_argument, NULL, O_TRACE},
    {"salt", required_argument, NULL, O_SALT},
    {"from", required_argument, NULL, O_FROM},
    {"to", required_argument, NULL, O_TO},
    {"old", required_argument, NULL, O_OLD},
    {"key", required_argument, NULL, O_KEY},
    {"unsealed", no_argument, NULL, O_UNSEALED},
    {"json", no_argument, NULL, O_JSON},
    {"help", no_argument, NULL, O_HELP},
    {"version", no_argument, NULL, O_VERSION},
    {NULL, 0, NULL, 0},
};

/* Negative: go on; else the exit code. */
static int read_options(int argc, char **argv, struct verify_ask *ask)
{
    const char **texts[] = {NULL,        &ask->policy, &ask->request, &ask->outcome, &ask->effects,
                            &ask->trace, &ask->salt,   &ask->from,    &ask->to,      &ask->old};
    for (int o = 0; (o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (o >= O_POLICY && o <= O_OLD) {
            *texts[o] = optarg;
        } else if (o == O_KEY && ask->key_count < VERIFY_KEYS_MAX) {
            ask->keys[ask->key_count++] = optarg;
        } else if (o == O_UNSEALED) {
            ask->unsealed = true;
        } else if (o == O_JSON) {
            ask->json = true;
        } else if (o == O_HELP || o == O_VERSION) {
            (void)fputs(o == O_HELP ? HELP : "concordat-verify " CONCORDAT_VERSION "\n", stdout);
            return VERIFY_PROVED;
        } else { /* getopt_long has said it, or there are too many keys */
            return usage(o == O_KEY ? "at most 8 keys" : "unknown option");
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct verify_ask ask = {0};
    int code = read_options(argc, argv, &ask);
    if (code >= 0) {
        return code;
    }
    if (argc - optind != 2) {
        return usage("say what to check (receipt, statement, consistency) and one FILE");
    }
    const char *what = argv[optind];
    ask.file = argv[optind + 1];
    if (ask.policy == NULL) {
        return usage("--policy is missing: whom do you believe?");
    }
    if (strcmp(what, "receipt") == 0) {
        return verify_run_receipt(&ask);
    }
    if (strcmp(what, "statement") == 0) {
        return verify_run_statement(&ask);
    }
    if (strcmp(what, "consistency") == 0 && ask.old != NULL) {
        return verify_run_consistency(&ask);
    }
    return usage(strcmp(what, "consistency") == 0 ? "--old is missing" : "unknown kind of file");
}
