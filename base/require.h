/* Checks of our own reasoning, on in every build. A require that fails is our bug or a broken
 * disk: it says where and dies at once, because a wrong ledger is worse than a stopped node.
 * Never put input, a peer's bytes or an I/O result into a require. */
#ifndef BASE_REQUIRE_H
#define BASE_REQUIRE_H

#define require(fact) ((fact) ? (void)0 : require_failed(#fact, __FILE__, __LINE__))

_Noreturn void require_failed(const char *fact, const char *file, int line);

/* For a failure that only the operator can mend (disk gone, memory gone): says why and dies. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
