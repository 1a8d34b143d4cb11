/* Options: checks what the user set and fills in the defaults; parses the command line. The app's
 * are in options.c, a socket's in sock_opts.c. */
#ifndef MCQ_SHARDS_OPTIONS_H
#define MCQ_SHARDS_OPTIONS_H

#include <monocoque/app.h>
#include <monocoque/sock.h>

#define MCQ_ARENA_BYTES_MIN    (16u << 20)
#define MCQ_LARGE_BYTES_MIN    (256u << 10) /* one granule of the large region */
#define MCQ_CONNECTIONS_MAX    16384u
#define MCQ_CPUS_MAX           1024u
#define MCQ_IDLE_SPIN_NS_MAX   10000000000u
#define MCQ_NIC_LEN_MAX        64u
#define MCQ_SQPOLL_IDLE_MS_MAX 60000u
#define MCQ_NAPI_BUSY_US_MAX   1000000u

/* opts NULL: the defaults. *out: every field set, none zero-for-default, but: cpus and sqpoll_cpus
 * NULL (as planned), nic NULL (none), uring_features NULL (nothing masked), connections_max 0 (as
 * many as fit), ring MCQ_RING_AUTO, sqpoll_idle_ms 0 (as planned), and napi_busy_us 0 (off). Copies
 * at most opts->size bytes; a larger struct with a non-zero tail is MCQ_EINVAL. Strings stay the
 * user's. Errors: MCQ_EINVAL, MCQ_ENOTSUP with the option's name. */
MCQ_MUST_USE enum mcq_error mcq_opts_effective(const struct mcq_opts *opts, struct mcq_opts *out,
                                               struct mcq_detail *detail);
/* auto, defer, sqpoll. false: none of them; *mode is unchanged. */
MCQ_MUST_USE bool mcq_ring_mode_find(const char *name, enum mcq_ring_mode *mode);
/* Whether it can be the name of a network interface. */
bool mcq_nic_legal(const char *name);
/* Copies an option struct of any version into out, which is all zeros: an older one lacks the last
 * fields; a newer one may have only zeros in those that are unknown here. */
MCQ_MUST_USE enum mcq_error mcq_opts_sized_copy(const char *name, void *out, size_t cap,
                                                const void *opts, size_t size,
                                                struct mcq_detail *detail);
/* The same for sockets; also checks that the type has the option. In *out linger_ms,
 * heartbeat_ms, heartbeat_ttl_ms 0 is none, notsent_lowat_bytes and the other numbers of tcp 0 the
 * system's own, request_timeout_ms MCQ_NONE no timeout; slow is never DEFAULT. */
MCQ_MUST_USE enum mcq_error mcq_sock_opts_effective(const struct mcq_sock_opts *opts,
                                                    enum mcq_sock_type type,
                                                    struct mcq_sock_opts *out,
                                                    struct mcq_detail *detail);
/* "0,2-5" into cpus[0, *cnt) in order; "none": *cnt = 0. */
MCQ_MUST_USE enum mcq_error mcq_cpus_parse(const char *text, uint32_t cpus[MCQ_CPUS_MAX],
                                           uint32_t *cnt, struct mcq_detail *detail);

#endif
