/* Directed tests of the driver's guards: each history leads into one trap of the core, twice. With
 * the guard it must hold; without it, in a process of its own, it must not. */
#ifndef TESTS_SIM_DRIVER_TRAP_H
#define TESTS_SIM_DRIVER_TRAP_H

#include "tests/unit/consensus/lab.h"

struct trap {
    const char *name;
    uint32_t guard;              /* enum guard */
    bool (*holds)(uint32_t off); /* plays the history without the guards of `off` */
    bool dies;                   /* without the guard the process may crash */
};

/* What must be so for the history to be the one that is meant: else the test proves nothing. */
#define NEED(fact)                                                                                 \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            trap_lost(#fact, __FILE__, __LINE__);                                                  \
        }                                                                                          \
    } while (0)
_Noreturn void trap_lost(const char *fact, const char *file, int line);

enum { TRAP_LOST = 99 }; /* exit code */

/* A cluster in its first term, without a leader; and one that node 1 leads, everybody level. */
struct lab *trap_lab(const char *roles, uint32_t off, bool pre_vote);
struct lab *trap_led(const char *roles, uint32_t off, bool pre_vote);
void trap_free(struct lab *l);

/* An AppendEntries without entries, and one entry more for it. */
struct packet *trap_append(uint64_t term, uint64_t prev, uint64_t prev_term, uint64_t commit);
void trap_entry(struct packet *p, uint64_t term, enum entry_type type, const char *content);
/* Gives it to node `to` as from `from`, takes it. False: the driver refused it, or has stopped. */
bool trap_give(struct lab *l, uint64_t from, uint64_t to, struct packet *p);

/* A packet of the kind that is under way from a to b; NULL: there is none. */
struct packet *trap_find(struct lab *l, enum packet_kind kind, uint64_t a, uint64_t b);

/* Two nodes that run lead the same term. */
bool trap_two_leaders(const struct lab *l);
/* Time passes among the set until one of them leads; false: nobody, in 40 rounds of timeouts. */
bool trap_elects(struct lab *l, uint32_t set);

extern const struct trap trap_elections[];
extern const struct trap trap_logs[];
extern const struct trap trap_members[];
extern const size_t trap_elections_count, trap_logs_count, trap_members_count;

#endif
