/* The node's configuration: what is read, and what is refused with file, line and remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/config.h"

#define WHOLE                                                                                      \
    "institution: ville\nnode: ville\ndata: data\ngenesis: /g.bin\ngenesis_signatures: g.sig\n"    \
    "listen_client: 127.0.0.1:1\nlisten_peer: 127.0.0.1:2\ncertificate: n.crt\n"                   \
    "private_key: n.key\n"

static err load(const char *text, struct config *ret, struct errtext *why)
{
    char path[] = "/tmp/concordat-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    err e = config_load(path, ret, why);
    unlink(path);
    return e;
}

static void a_whole_file_is_read(void **state)
{
    (void)state;
    struct config c;
    struct errtext why;
    assert_false(failed(load("# a node\n" WHOLE "heartbeat_ms: 50\nlog_level: warn\n", &c, &why)));
    assert_string_equal(c.institution, "ville");
    assert_string_equal(c.data, "/tmp/data"); /* relative to the file */
    assert_string_equal(c.genesis, "/g.bin");
    assert_int_equal(c.heartbeat_ms, 50);
    assert_int_equal(c.election_timeout_ms, 1000);
    assert_int_equal(c.log_level, LOG_LEVEL_WARN);
    config_done(&c);
}

static void bad_files_are_refused_with_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expect;
    } cases[] = {
        {WHOLE "datta: x\n", ":10: unknown key 'datta'; known keys: institution, node"},
        {WHOLE "node: b\n", ":10: given twice: 'node'"},
        {"institution: ville\n", "the key 'node' is missing"},
        {WHOLE "workers: many\n", ":10: workers must be a number from 1 to 64, not 'many'"},
        {WHOLE "workers: 65\n", "from 1 to 64, not '65'"},
        {WHOLE "workers: 0\n", "from 1 to 64, not '0'"},
        {WHOLE "workers: -1\n", "from 1 to 64, not '-1'"},
        {WHOLE "log_level: loud\n", ":10: log_level is debug, info, warn or error, not 'loud'"},
        {WHOLE "heartbeat_ms: 400\n", "at most a third of election_timeout_ms"},
        {WHOLE "workers:\n", ":10: "},
        {WHOLE "workers: [1, 2]\n", ":10: only 'key: value' lines"},
        {WHOLE "workers: {a: 1}\n", ":10: a nested mapping is not expected"},
        {WHOLE "\"workers\n", ": not YAML:"},
        {"ville\n", ":1: expected 'key: value' lines"},
        {"", "the key 'institution' is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c;
        struct errtext why = {""};
        assert_true(failed(load(cases[i].text, &c, &why)));
        if (strstr(why.text, cases[i].expect) == NULL) {
            fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].expect, why.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(bad_files_are_refused_with_line_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
