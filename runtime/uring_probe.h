/* Probing: what this kernel's io_uring does, tried out on a socket pair, never guessed from a
 * version; and what to tell a person when it does nothing at all. */
#ifndef MCQ_RUNTIME_URING_PROBE_H
#define MCQ_RUNTIME_URING_PROBE_H

#include "runtime/features.h"
#include "runtime/uring.h"

/* The sentence for a ring that could not be set up. err: errno of mcq_uring_init. Returns the
 * code: MCQ_EKERNEL, MCQ_ENOMEM, MCQ_ELIMIT or MCQ_EOS. */
enum mcq_error mcq_uring_explain(int err, struct mcq_detail *detail);

/* Takes away from *f what the ring doesn't do. The ring has no buffer ring open and nothing in
 * flight, before and after. mem: as for mcq_uring_bufs_open of MCQ_PROBE_BUFS_CNT. Errors:
 * MCQ_EKERNEL, MCQ_ENOMEM (not even a plain buffer ring), MCQ_EOS (no socket pair). */
#define MCQ_PROBE_BUFS_CNT 8u
MCQ_MUST_USE enum mcq_error mcq_uring_probe(struct mcq_uring *u, void *mem, struct mcq_features *f,
                                            struct mcq_detail *detail);

#endif
