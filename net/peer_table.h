/* The node table of peer links: an owned copy of what the host gave, and the judgement whether a
 * certificate is that of a node in it. Pure; for peer*.c only. */
#ifndef NET_PEER_TABLE_H
#define NET_PEER_TABLE_H

#include "net/peer.h"
#include "net/tls.h"

struct peer_row {
    uint64_t id;
    char institution[NAME_BYTES_MAX + 1];
    char name[NAME_BYTES_MAX + 1];
    char address[ADDRESS_BYTES_MAX + 1];
    uint8_t keys[PEER_KEYS_MAX][SHA256_SIZE];
    size_t key_count;
    struct bytes cas[PEER_CAS_MAX]; /* owned */
    size_t ca_count;
};

struct peer_table {
    struct peer_row rows[NODES_MAX];
    size_t count;
};

/* Copies and checks the rows; the caller owns *ret. INVALID or LIMIT with a reason. */
err peer_table_new(const struct peer_node nodes[], size_t count, struct peer_table **ret,
                   struct errtext *reterr) ERR_MUST_USE;

/* Accepts NULL. */
void peer_table_free(struct peer_table *table);

/* The row of a node, or NULL. */
const struct peer_row *peer_table_find(const struct peer_table *table, uint64_t id);

/* The distinct CA certificates of all rows; ret has room for NODES_MAX * PEER_CAS_MAX; views into
 * the table. Returns how many. */
size_t peer_table_cas(const struct peer_table *table, struct tls_ca ret[]);

/* Whether a certificate (NULL: none was shown) is that of any node of the origin that the table
 * may know: the reason against it, or NONE. Its key and CA are judged by peer_row_judge. */
enum peer_reason peer_table_judge(const struct peer_table *table, const char *origin,
                                  const struct tls_peer *peer);

/* Whether it is the certificate of this very node: the reason against it, or NONE. */
enum peer_reason peer_row_judge(const struct peer_row *row, const char *origin,
                                const struct tls_peer *peer);

#endif
