/* An import: readings become typed events, events become requests with fixed boundaries, requests
 * go out in a window until each has its answer. The same file, contract and key always make the
 * same requests, byte for byte, so an import that was interrupted is simply run again. */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "cli/law.h"
#include "cli/readings.h"
#include "cli/request.h"

enum { IMPORT_WINDOW = 8, IMPORT_REASONS_MAX = 32 };

/* How the contract's event is called, and its parts. */
struct import_names {
    const char *event, *start, *made, *used, *meter, *energy;
};

/* Events from..from+count of one request. */
struct import_cut {
    size_t from, count;
};

struct import_reason {
    char clause[16], text[208];
    size_t count;
    int64_t first_start_s;
};

struct import_counts {
    /* Events, one a slot; skipped: their request had been answered before this run. */
    size_t accepted, rejected, faults, skipped;
    size_t requests, requests_done;
    size_t readings, readings_done;
    struct import_reason reasons[IMPORT_REASONS_MAX]; /* also of skipped events */
    size_t reason_count;
};

struct import {
    struct session *session;
    const struct readings *readings;
    struct signers signers; /* one */
    struct arena arena;     /* arguments of all events */
    struct event *events;   /* owned; one a slot */
    struct rules_bound *bounds;
    struct import_cut *cuts; /* owned */
    size_t cut_count;
    uint64_t rate;           /* readings a second at most; 0: as fast as the nodes answer */
    struct import_counts counts;
    err failure;            /* of a request; reason in session->why */
};

/* Makes and types all events: nothing is sent before all are right. INVALID with FILE:LINE. */
err import_prepare(struct import *im, struct law *law, const struct import_names *names,
                   const char *file) ERR_MUST_USE;

/* Cuts: a request holds events of one legal date, as many as its limits allow. */
void import_cut(struct import *im);

/* Sends all requests, IMPORT_WINDOW at a time; shows progress on a terminal. DENIED: a request was
 * refused; TIMEOUT: no answer for the client's deadline. Counts tell how far it came. */
err import_send(struct import *im) ERR_MUST_USE;

/* Frees events and keys; accepts an all-zero struct. */
void import_done(struct import *im);

#endif
