/* concordat import readings: a file of meter readings into a contract. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "cli/import.h"
#include "cli/show.h"
#include "crypto/keyfile.h"

static const struct option OPTIONS[] = {
    {"contract", "NAME", "the contract that takes the readings", false},
    {"as", "PARTY", "who signs: the grid operator", false},
    {"event", "NAME", "its event; default metering", false},
    {"start", "NAME", "argument with the time of the slot; default start", false},
    {"made", "NAME", "argument with the producers' readings; default made", false},
    {"used", "NAME", "argument with the consumers' readings; default used", false},
    {"meter", "NAME", "field of a reading with the meter; default meter", false},
    {"energy", "NAME", "field of a reading with the energy; default energy", false},
    {"check", NULL, "only read and check the file against the contract; send nothing", false},
    REGISTRY_OPTION,
    {"node", "NAME", "ask this node only; default: any node of the profile", false},
    {"deadline", "SECONDS", "give up after so long without any progress; default 600", false},
    {"rate", "READINGS", "send at most so many readings a second, so that others are served too",
     false},
    {NULL, NULL, NULL, false},
};

static const char *name_of(const struct given *g, const char *option)
{
    const char *value = given_value(g, option);
    return value == NULL ? option : value;
}

static err read_file(const char *path, struct readings *ret, struct errtext *reterr)
{
    struct buf text;
    buf_init(&text, READINGS_FILE_MAX);
    err e = keyfile_read_public(path, &text, reterr);
    if (!failed(e)) {
        e = readings_parse(path, buf_bytes(&text), ret, reterr);
    }
    buf_done(&text);
    return e;
}

static json_t *reasons_json(const struct import_counts *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->reason_count; i++) {
        const struct import_reason *r = &c->reasons[i];
        json_array_append_new(
            list, json_pack("{s:s,s:o,s:I,s:o}", "clause", r->clause, "why",
                            show_text(bytes_text(r->text)), "count", (json_int_t)r->count, "first",
                            show_time_json((uint64_t)r->first_start_s * NS_PER_S)));
    }
    return list;
}

static void report_json(const struct import *im, double seconds)
{
    const struct import_counts *c = &im->counts;
    const struct readings *r = im->readings;
    show_json_line(
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:o,s:o}", "slots",
                  (json_int_t)r->slot_count, "readings", (json_int_t)c->readings, "requests",
                  (json_int_t)c->requests, "accepted", (json_int_t)c->accepted, "rejected",
                  (json_int_t)c->rejected, "faults", (json_int_t)c->faults, "skipped",
                  (json_int_t)c->skipped, "blank_lines", (json_int_t)r->blank_lines, "sent_again",
                  (json_int_t)client_resent(im->session->client), "seconds", seconds, "reasons",
                  reasons_json(c), "ignored_columns", show_text(bytes_text(r->ignored))));
}

static void report_text(const struct import *im, double seconds)
{
    const struct import_counts *c = &im->counts;
    char time[SHOW_TIME_SIZE];
    printf("%zu slots with %zu readings in %zu requests, %.1f s (%.0f readings/s)\n",
           im->readings->slot_count, c->readings, c->requests, seconds,
           seconds > 0 ? (double)c->readings_done / seconds : 0);
    printf("accepted %zu, rejected %zu, faults %zu, skipped %zu (answered before)\n", c->accepted,
           c->rejected, c->faults, c->skipped);
    for (size_t i = 0; i < c->reason_count; i++) {
        const struct import_reason *r = &c->reasons[i];
        show_time((uint64_t)r->first_start_s * NS_PER_S, time);
        printf("  %zu times by clause %s: %s (first: slot %s)\n", r->count, r->clause, r->text,
               time);
    }
}

static err import_all(struct import *im, struct readings *readings, double *ret_seconds)
{
    struct session *s = im->session;
    const struct given *g = s->given;
    struct clock clock = clock_system();
    struct law law;
    struct import_names names = {given_value(g, "event"), name_of(g, "start"),
                                 name_of(g, "made"),      name_of(g, "used"),
                                 name_of(g, "meter"),     name_of(g, "energy")};
    names.event = names.event == NULL ? "metering" : names.event;
    TRY(read_file(g->arguments[0], readings, &s->why));
    if (readings->ignored[0] != '\0') {
        fprintf(stderr, "concordat: columns that are not read: %s\n", readings->ignored);
    }
    if (readings->blank_lines > 0) {
        fprintf(stderr, "concordat: %zu lines without any reading are left out\n",
                readings->blank_lines);
    }
    if (!given_has(g, "check")) {
        TRY(signers_add_party(&im->signers, &s->profile, given_value(g, "as"), &s->why));
    }
    TRY(law_load(s, given_value(g, "contract"), &law));
    uint64_t began = clock_monotonic_ns(&clock);
    err e = import_prepare(im, &law, &names, g->arguments[0]);
    law_done(&law);
    TRY(e);
    import_cut(im);
    if (!given_has(g, "check")) {
        e = import_send(im);
    }
    *ret_seconds = (double)(clock_monotonic_ns(&clock) - began) / 1e9;
    return e;
}

static int run(const struct given *g)
{
    struct session s;
    struct readings readings = {0};
    struct import im = {.session = &s, .readings = &readings};
    double seconds = 0;
    if (!given_has(g, "contract") || (!given_has(g, "as") && !given_has(g, "check"))) {
        return complain(EXIT_USAGE, "import readings needs --contract NAME and --as PARTY");
    }
    if (!given_number(g, "rate", 1, UINT32_MAX, &im.rate)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    err e = import_all(&im, &readings, &seconds);
    bool all_good = im.counts.reason_count == 0;
    if (!failed(e) || im.counts.requests_done > 0) {
        if (g->json) {
            report_json(&im, seconds);
        } else {
            report_text(&im, seconds);
        }
    }
    import_done(&im);
    readings_done(&readings);
    if (failed(e)) {
        return session_fail(&s, e);
    }
    return session_close(&s, all_good ? EXIT_DONE : EXIT_REFUSED);
}

const struct command IMPORT_READINGS = {
    "import readings",
    "FILE.csv",
    1,
    1,
    "Imports meter readings: one signed event a slot, a local day in a request\n\n"
    "Wide files have a column ts and one for each meter (cNN consumes, pNN produces; blank: no\n"
    "reading), long files ts,point,wh. The whole file is checked before anything is sent. Run the\n"
    "same command again after an interruption: it makes the same requests and goes on.",
    OPTIONS,
    "  concordat import readings october.csv --contract solar.roquefort --as enedis\n"
    "  concordat import readings october.csv --contract solar.roquefort --check\n",
    run};
