/* Profiles and the command line: what is taken, and what is said about what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/profile.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
/* The members that must be there; the object is not closed. */
#define NODES "\"nodes\": [{\"name\": \"n\", \"address\": \"h:1\"}]"
#define FILES "\"ca\": [\"ca.crt\"], \"cert\": \"/abs.crt\", \"key\": \"c.key\""
#define HEAD "{\"origin\": \"o\", \"ledger_id\": \"" ID "\", " NODES ", " FILES

static const struct option PROFILE[] = {{"profile", "FILE", "", false}};

static err load(const char *text, struct profile *p, struct errtext *why)
{
    char path[] = "/tmp/concordat-profile-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    struct given g = {.value_count = 1};
    g.values[0].option = &PROFILE[0];
    g.values[0].value = path;
    err e = profile_load(&g, p, why);
    unlink(path);
    return e;
}

static void a_profile_is_read(void **state)
{
    (void)state;
    struct profile p;
    struct errtext why;
    assert_false(failed(load(HEAD ", \"parties\": {\"enedis\": \"e.key\"}, \"governance\": "
                                  "{\"ville\": \"g.key\"}, \"officers\": {\"ville.anna\": "
                                  "\"a.key\"}}",
                             &p, &why)));
    assert_string_equal(p.cert, "/abs.crt");
    assert_string_equal(p.key, "/tmp/c.key");
    assert_int_equal(p.ledger_id[1], 0x11);
    assert_string_equal(p.nodes[0].address, "h:1");
    assert_string_equal(profile_key_path(&p, "enedis"), "/tmp/e.key");
    assert_string_equal(profile_key_path(&p, "ledger.ville"), "/tmp/g.key");
    assert_string_equal(profile_key_path(&p, "ledger.ville.anna"), "/tmp/a.key");
    assert_null(profile_key_path(&p, "ville"));
    profile_done(&p);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{", ":1:"},
        {"[]", "object"},
        {"{\"origin\": \"o\"}", "ledger_id"},
        {HEAD ", \"colour\": 1}", "colour"},
        {HEAD ", \"parties\": []}", "parties"},
        {HEAD ", \"parties\": {\"a\": 1}}", "parties"},
        {HEAD ", \"origin\": \"again\"}", "origin"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profile p;
        struct errtext why = {""};
        assert_true(failed(load(cases[i].text, &p, &why)));
        assert_non_null(strstr(why.text, "/tmp/concordat-profile-"));
        assert_non_null(strstr(why.text, cases[i].words));
        assert_int_equal(p.node_count, 0);
    }
}

static int call(const char *a, const char *b, const char *c, const char *d)
{
    char *argv[] = {(char *)"concordat", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
    int argc = 1;
    while (argv[argc] != NULL) {
        argc++;
    }
    return command_main(argc, argv);
}

static void wrong_use_is_two(void **state)
{
    (void)state;
    assert_int_equal(call(NULL, NULL, NULL, NULL), EXIT_USAGE);
    assert_int_equal(call("nothing", NULL, NULL, NULL), EXIT_USAGE);
    assert_int_equal(call("contract", NULL, NULL, NULL), EXIT_USAGE);
    assert_int_equal(call("balance", NULL, NULL, NULL), EXIT_USAGE);
    assert_int_equal(call("balance", "x", "--colour", NULL), EXIT_USAGE);
    assert_int_equal(call("balance", "x", "--node", NULL), EXIT_USAGE);
    assert_int_equal(call("balance", "no-slash", NULL, NULL), EXIT_USAGE);
    assert_int_equal(call("status", "--json=1", NULL, NULL), EXIT_USAGE);
    assert_int_equal(call("status", "--profile", "/nowhere/p.json", NULL), EXIT_USAGE);
    assert_int_equal(call("statement", "a/b", "--limit=0", NULL), EXIT_USAGE);
    assert_int_equal(call("outcome", "a", "12", NULL), EXIT_USAGE);
    assert_int_equal(call("rules", "check", "/nowhere/x.rules", NULL), EXIT_REFUSED);
    assert_int_equal(call("version", NULL, NULL, NULL), EXIT_DONE);
    assert_int_equal(call("import", "readings", "--help", NULL), EXIT_DONE);
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const struct command *c = COMMANDS[i];
        assert_non_null(c->run);
        assert_non_null(strstr(c->examples, c->name));
        assert_true(c->summary[0] >= 'A' && c->summary[0] <= 'Z');
        assert_true(c->arguments_max <= ARGUMENTS_MAX);
        for (const struct option *o = c->options; o->name != NULL; o++) {
            assert_true(o->help[0] != '\0');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_is_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(wrong_use_is_two),
        cmocka_unit_test(every_command_explains_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
