#include "crypto/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/require.h"

void random_bytes(void *ret, size_t size)
{
    require(ret != NULL || size == 0);
    size_t done = 0;
    while (done < size) {
        ssize_t got = getrandom((uint8_t *)ret + done, size - done, 0);
        if (got < 0 && errno != EINTR) {
            die("the system has no randomness (getrandom: error %d)", errno);
        }
        done += got > 0 ? (size_t)got : 0;
    }
}

uint64_t random_u64(void)
{
    uint64_t v = 0;
    random_bytes(&v, sizeof v);
    return v;
}
