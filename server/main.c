/* concordatd: runs one node. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>

#include "base/log.h"
#include "server/config.h"
#include "server/node.h"
#include "server/version.h"

static const char HELP[] =
    "usage: concordatd --config FILE [--check]\n"
    "\n"
    "Runs one node of a Concordat ledger until SIGTERM or SIGINT, which let requests under way\n"
    "finish and hand leadership over. SIGHUP reads the certificate and its key again.\n"
    "\n"
    "  -c, --config FILE  the node's YAML file (keys: docs/OPERATING.md)\n"
    "      --check        only check configuration, genesis, signatures and certificate\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "examples:\n"
    "  concordatd --config /etc/concordat/node.yaml\n"
    "  concordatd --config node.yaml --check\n"
    "\n"
    "exit codes: 0 stopped as asked, 1 cannot start or had to stop, 2 wrong use, 3 takes no part\n"
    "in the ledger any more: starting it again does not help (RestartPreventExitStatus=3)\n";

static int run(const char *path, bool check)
{
    struct config config;
    struct node *n = NULL;
    struct errtext why = {""};
    bool removed = false;
    err e = config_load(path, &config, &why);
    if (!failed(e)) {
        log_set_level(config.log_level);
        e = check ? node_check(&config, &why) : node_open(&config, &n, &why);
    }
    if (!failed(e) && check) {
        printf("%s: everything is in order\n", path);
    } else if (!failed(e)) {
        e = node_run(n, &why);
        removed = err_is(e, ERR_DENIED);
    }
    if (failed(e)) {
        log_error("%s", why.text);
    }
    node_close(n);
    config_done(&config);
    return removed ? 3 : failed(e) ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    bool check = false;
    for (int o; (o = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;) {
        switch (o) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'h':
            fputs(HELP, stdout);
            return 0;
        case 'V':
            puts("concordatd " CONCORDAT_VERSION);
            return 0;
        default:
            fputs("concordatd: see --help\n", stderr);
            return 2;
        }
    }
    if (path == NULL || optind != argc) {
        fputs("concordatd: needs --config FILE and nothing else; see --help\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    return run(path, check);
}
