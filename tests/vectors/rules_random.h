/* Random events of a contract: every value is of the declared type most of the time, and comes from
 * pools that are small enough for events to meet each other's rows. Everything follows from the
 * seed. */
#ifndef TESTS_VECTORS_RULES_RANDOM_H
#define TESTS_VECTORS_RULES_RANDOM_H

#include "../unit/rules/seed.h"
#include "rules/rules.h"

enum { RANDOM_PARTIES = 12 };

struct random_law {
    const struct rules_program *program;
    struct seed seed;
    struct rules_time now; /* rises with every event */
    struct bytes parties[RANDOM_PARTIES];
    size_t party_count;
};

/* Starts at noon of the program's effective day. */
void random_law_init(struct random_law *r, const struct rules_program *program, uint64_t seed);

/* The next event; what it points to lies in the arena. hash counts the events. */
void random_event(struct random_law *r, struct arena *a, struct rules_event *ret);

#endif
