#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "cli/version.h"

static const struct option COMMON[] = {
    {"profile", "FILE",
     "whom to ask and with which keys; default $CONCORDAT_PROFILE, then\n"
     "~/.config/concordat/profile.json",
     false},
    {"json", NULL, "answer in JSON on standard output", false},
    {"help", NULL, "this text", false},
    {NULL, NULL, NULL, false},
};

int complain(int code, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("concordat: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return code;
}

int complain_err(err e, const struct errtext *why)
{
    int code = EXIT_REFUSED;
    switch (e.code) {
    case ERR_INVALID:
    case ERR_LIMIT:
    case ERR_IO:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_UNSUPPORTED:
    case ERR_CORRUPT:
        code = EXIT_USAGE;
        break;
    case ERR_AGAIN:
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
        code = EXIT_UNKNOWN;
        break;
    case ERR_OK:
    case ERR_FULL:
    case ERR_DENIED:
    case ERR_CONFLICT:
        break;
    }
    return complain(code, "%s", why->text[0] == '\0' ? err_name(e.code) : why->text);
}

/* ---- help ---- */

static void print_option(const struct option *o)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->placeholder == NULL ? "" : " ",
             o->placeholder == NULL ? "" : o->placeholder);
    const char *text = o->help;
    printf("  %-28s", left);
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        printf("%.*s\n%-30s", (int)(end - text), text, "");
    }
    printf("%s%s\n", text, o->repeats ? " (repeats)" : "");
}

static void print_help(const struct command *c)
{
    printf("usage: concordat %s%s%s [options]\n\n%s\n\noptions:\n", c->name,
           c->arguments[0] == '\0' ? "" : " ", c->arguments, c->summary);
    for (const struct option *o = c->options; o->name != NULL; o++) {
        print_option(o);
    }
    for (const struct option *o = COMMON; o->name != NULL; o++) {
        print_option(o);
    }
    printf("\nexamples:\n%s", c->examples);
}

static void print_overview(void)
{
    printf("usage: concordat COMMAND [arguments] [options]\n\n"
           "Operates a Concordat ledger: keys, genesis, contracts, requests, queries, status.\n\n"
           "commands:\n");
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const struct command *c = COMMANDS[i];
        const char *end = strchr(c->summary, '\n');
        int size = end == NULL ? (int)strlen(c->summary) : (int)(end - c->summary);
        printf("  %-22s %.*s\n", c->name, size, c->summary);
    }
    printf("\n`concordat COMMAND --help` shows options and examples of each.\n"
           "exit codes: 0 done, 1 refused or rejected, 2 wrong use or bad input, 3 not known (run\n"
           "it again); status: 0 well, 1 degraded, 2 no quorum.\n");
}

/* ---- what is given ---- */

static const struct option *find_option(const struct command *c, const char *name, size_t size)
{
    const struct option *tables[] = {c->options, COMMON};
    for (size_t t = 0; t < 2; t++) {
        for (const struct option *o = tables[t]; o->name != NULL; o++) {
            if (strlen(o->name) == size && memcmp(o->name, name, size) == 0) {
                return o;
            }
        }
    }
    return NULL;
}

static size_t count_of(const struct given *g, const struct option *o)
{
    size_t count = 0;
    for (size_t i = 0; i < g->value_count; i++) {
        count += g->values[i].option == o;
    }
    return count;
}

static int take_option(struct given *g, int argc, char **argv, int *at)
{
    const char *word = argv[*at] + 2;
    const char *equals = strchr(word, '=');
    size_t size = equals == NULL ? strlen(word) : (size_t)(equals - word);
    const struct option *o = find_option(g->command, word, size);
    if (o == NULL) {
        return complain(EXIT_USAGE, "unknown option '%s'; see `concordat %s --help`", argv[*at],
                        g->command->name);
    }
    if (g->value_count == OPTION_VALUES_MAX || (!o->repeats && count_of(g, o) > 0)) {
        return complain(EXIT_USAGE, "--%s is given too often", o->name);
    }
    const char *value = "";
    if (o->placeholder != NULL && equals != NULL) {
        value = equals + 1;
    } else if (o->placeholder != NULL) {
        if (*at + 1 >= argc) {
            return complain(EXIT_USAGE, "--%s needs a value: --%s %s", o->name, o->name,
                            o->placeholder);
        }
        value = argv[++*at];
    } else if (equals != NULL) {
        return complain(EXIT_USAGE, "--%s takes no value", o->name);
    }
    g->values[g->value_count].option = o;
    g->values[g->value_count++].value = value;
    return EXIT_DONE;
}

const char *given_each(const struct given *g, const char *name, size_t i)
{
    for (size_t k = 0; k < g->value_count; k++) {
        if (strcmp(g->values[k].option->name, name) == 0 && i-- == 0) {
            return g->values[k].value;
        }
    }
    return NULL;
}

const char *given_value(const struct given *g, const char *name)
{
    return given_each(g, name, 0);
}

bool given_has(const struct given *g, const char *name)
{
    return given_value(g, name) != NULL;
}

bool given_number(const struct given *g, const char *name, uint64_t least, uint64_t most,
                  uint64_t *number)
{
    const char *text = given_value(g, name);
    char *end = NULL;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v < least || v > most) {
        complain(EXIT_USAGE, "--%s must be a number from %llu to %llu, not '%s'", name,
                 (unsigned long long)least, (unsigned long long)most, text);
        return false;
    }
    *number = v;
    return true;
}

/* ---- dispatch ---- */

/* The command of the first one or two words; *ret_words says how many it took. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const struct command *c = COMMANDS[i];
        const char *space = strchr(c->name, ' ');
        size_t first = space == NULL ? strlen(c->name) : (size_t)(space - c->name);
        if (strlen(argv[1]) != first || memcmp(argv[1], c->name, first) != 0) {
            continue;
        }
        if (space == NULL || (argc > 2 && strcmp(argv[2], space + 1) == 0)) {
            *ret_words = space == NULL ? 1 : 2;
            return c;
        }
    }
    return NULL;
}

/* "keygen" alone: which commands begin with it? */
static int explain_group(const char *word)
{
    bool any = false;
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const struct command *c = COMMANDS[i];
        size_t size = strlen(word);
        if (strncmp(c->name, word, size) == 0 && c->name[size] == ' ') {
            if (!any) {
                fprintf(stderr, "concordat: '%s' needs a second word:\n", word);
            }
            fprintf(stderr, "  concordat %s\n", c->name);
            any = true;
        }
    }
    if (!any) {
        complain(EXIT_USAGE, "unknown command '%s'; see `concordat help`", word);
    }
    return EXIT_USAGE;
}

static int parse(struct given *g, int argc, char **argv, int from)
{
    bool only_arguments = false;
    for (int i = from; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && strncmp(argv[i], "--", 2) == 0) {
            int code = take_option(g, argc, argv, &i);
            if (code != EXIT_DONE) {
                return code;
            }
        } else if (g->argument_count == ARGUMENTS_MAX) {
            return complain(EXIT_USAGE, "too many arguments");
        } else {
            g->arguments[g->argument_count++] = argv[i];
        }
    }
    return EXIT_DONE;
}

int command_main(int argc, char **argv)
{
    int words = 0;
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        print_overview();
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        puts("concordat " CONCORDAT_VERSION);
        return EXIT_DONE;
    }
    const struct command *c = find_command(argc, argv, &words);
    if (c == NULL) {
        return explain_group(argv[1]);
    }
    struct given g = {.command = c};
    int code = parse(&g, argc, argv, 1 + words);
    if (code != EXIT_DONE) {
        return code;
    }
    if (given_has(&g, "help")) {
        print_help(c);
        return EXIT_DONE;
    }
    g.json = given_has(&g, "json");
    if (g.argument_count < c->arguments_min || g.argument_count > c->arguments_max) {
        return complain(EXIT_USAGE, "usage: concordat %s %s [options]; see --help", c->name,
                        c->arguments);
    }
    return c->run(&g);
}
