/* What the seams share beside machine.h. */
#ifndef TESTS_SIM_PRODUCT_EDGE_H
#define TESTS_SIM_PRODUCT_EDGE_H

#include "storage/fileops.h"
#include "tests/sim/product/machine.h"

/* Leaves the code of the running machine, whose process is dead from now on. */
_Noreturn void machine_jump_out(struct machine *m);

/* The files of a machine's log: its disk, which acts as long as the process is alive. */
struct fileops seam_log_files(struct machine *m);

/* Whether the pair at an offset of a checkpoint of so many bytes is taken into the state that is
 * made of it. Always; a planted bug leaves the tail out. */
bool seam_kv_takes(size_t offset, size_t size);

#endif
