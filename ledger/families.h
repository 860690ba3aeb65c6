/* The families of the state database (docs/formats/state.md). Their numbers are the order in which
 * the database is opened; new ones come before FAMILIES_COUNT. */
#ifndef LEDGER_FAMILIES_H
#define LEDGER_FAMILIES_H

enum ledger_family_number {
    /* replicated: the same on every node at a height, and covered by the state digest */
    FAMILY_META,      /* genesis, head */
    FAMILY_PARTIES,   /* parties and their keys */
    FAMILY_CONTRACTS, /* texts of all versions */
    FAMILY_ACCOUNTS,  /* balance, count, chain */
    FAMILY_ROWS,      /* rows of all tables */
    FAMILY_TIMERS,    /* waiting timers by time */
    FAMILY_REQUESTS,  /* (party, request id) to its answer */
    FAMILY_VOIDS,     /* void requests by block and by request id */
    FAMILY_BLOCKS,    /* blocks as applied, by height */
    FAMILY_RECORDS,   /* records with outcome and effects, by position */
    FAMILY_POSTINGS,  /* postings by account */
    FAMILY_NODES,     /* the node table, with the nodes that were removed */
    FAMILY_TREE,      /* full tiles of the tree over the records */
    FAMILIES_REPLICATED,
    /* this node's own */
    FAMILY_LOCAL = FAMILIES_REPLICATED, /* applied Raft index */
    FAMILY_TRACES,                      /* traces by position */
    FAMILY_INPUTS,                      /* what accepted events read, by position */
    FAMILY_HEADS,                       /* complete checkpoints, by tree size */
    FAMILIES_COUNT,
};

#endif
