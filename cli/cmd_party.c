/* concordat party add, key add, key revoke: who may sign, registered by an officer. */
#include "cli/commands.h"

#include <string.h>

#include "cli/govern.h"
#include "cli/show.h"
#include "rules/rules.h"

static const struct option OPTIONS[] = {
    {"key", "FILE", "the party's public key (.pub), or \"ed25519:...\" itself", false},
    {"as", "OFFICER", "who signs: ville.anna (officers of the profile) or ville", false},
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static int run_action(const struct given *g, const char *action)
{
    struct session s;
    struct signers signers = {.count = 0};
    uint8_t key[SIGN_PUBLIC_SIZE];
    struct buf args;
    struct body body;
    const char *as = given_value(g, "as");
    const char *from = given_value(g, "key");
    if (as == NULL || from == NULL) {
        return complain(EXIT_USAGE, "%s needs --key FILE.pub and --as OFFICER", g->command->name);
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    const char *officer = strncmp(as, "ledger.", 7) == 0
                              ? as
                              : arena_printf(&s.profile.arena, "ledger.%s", as);
    buf_init(&args, ARGS_BYTES_MAX);
    err e = govern_public_key(from, key, &s.why);
    if (!failed(e)) {
        e = signers_add_party(&signers, &s.profile, officer, &s.why);
    }
    if (!failed(e)) {
        rules_args_put_text(&args, "party", bytes_text(g->arguments[0]));
        rules_args_put_octets(&args, "key", bytes_of(key, sizeof key));
        struct event event = {.contract = bytes_text("ledger"),
                              .action = bytes_text(action),
                              .args = buf_bytes(&args)};
        govern_body(&s.profile, &event, officer, &body);
        e = govern_submit(&s, &body, &signers, &code);
    }
    buf_done(&args);
    signers_done(&signers);
    return failed(e) ? session_fail(&s, e) : session_close(&s, code);
}

static int run_party_add(const struct given *g)
{
    return run_action(g, "party_add");
}

static int run_key_add(const struct given *g)
{
    return run_action(g, "key_add");
}

static int run_key_revoke(const struct given *g)
{
    return run_action(g, "key_revoke");
}

const struct command PARTY_ADD = {
    "party add",
    "PARTY",
    1,
    1,
    "Registers a party and its key under the officer's institution",
    OPTIONS,
    "  concordat party add meters.south --key meters.key.pub --as ville.anna\n",
    run_party_add};

const struct command KEY_ADD = {"key add",
                                "PARTY",
                                1,
                                1,
                                "Registers one more key of a party",
                                OPTIONS,
                                "  concordat key add enedis --key new.pub --as energie.officer\n",
                                run_key_add};

const struct command KEY_REVOKE = {
    "key revoke",
    "PARTY",
    1,
    1,
    "Ends a key of a party: from the next block on it counts no more",
    OPTIONS,
    "  concordat key revoke enedis --key old.key.pub --as energie.officer\n",
    run_key_revoke};
