/* Ports: a thread that is no shard's talks with one shard, through a ring each way.
 *
 *      thread    mcq_port_open --> mcq_port_send, mcq_port_recv, mcq_port_wait --> mcq_port_close
 *      shard     `opened` --> `message`, mcq_port_reply --> `closed`
 *
 * Messages are bytes with a kind, as typed posts; in order each way, none lost until an end closes.
 * A full ring is MCQ_EAGAIN. An open port keeps its app running, as an open socket or timer
 * does; one that is still to be opened doesn't: an app with nothing else keeps a timer open until
 * then. When the app ends all the same, the thread's calls return MCQ_ESTALE.
 *
 * Thread: a port belongs to the thread that opened it (or one at a time), its end to the shard's.
 */
#ifndef MONOCOQUE_PORT_H
#define MONOCOQUE_PORT_H

#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCQ_PORT_LEN_MAX      1024u /* bytes of a message */
#define MCQ_PORT_RING_LEN_MIN 4096u /* bytes of a ring */
#define MCQ_PORT_RING_LEN_MAX (1u << 24)
#define MCQ_PORTS_MAX         64u /* of one shard */

struct mcq_port;     /* the thread's */
struct mcq_port_end; /* the shard's */

/* The shard's side, in struct mcq_app. A missing slot is a no-op. end: borrowed until `closed` has
 * returned. */
struct mcq_port_handlers {
    void (*opened)(struct mcq_shard *shard, void *arg, struct mcq_port_end *end);
    /* data: borrowed until return, aligned to 8. */
    void (*message)(struct mcq_shard *shard, void *arg, struct mcq_port_end *end, uint32_t kind,
                    const void *data, size_t len);
    /* mcq_port_reply found no room, and half of the ring is free again. */
    void (*room)(struct mcq_shard *shard, void *arg, struct mcq_port_end *end);
    /* By the thread, all of whose messages have been told, or because the shard ends. */
    void (*closed)(struct mcq_shard *shard, void *arg, struct mcq_port_end *end);
};

/* --- the thread's side --------------------------------------------------------------------- */

/* mcq_port_open attaches the calling thread to shard (mcq_shard_at) and *gives* *port; it may be
 * sent to at once. ring_len: bytes of each ring, rounded up to a power of two [64 KiB].
 * Thread: any that is no shard's, while the app runs. Cost: maps memory, takes a lock.
 * Errors: MCQ_ELIMIT, MCQ_EINVAL, MCQ_ENOMEM, MCQ_EOS, MCQ_ESTALE (the shard has ended),
 * MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_port_open(struct mcq_shard *shard, uint32_t ring_len,
                                                  struct mcq_port **port,
                                                  struct mcq_detail *detail);
/* mcq_port_send copies data[0, len) to the shard. Cost: some 20 ns; a system call if it sleeps.
 * Errors: MCQ_EAGAIN (mcq_port_wait tells of room, too), MCQ_ETOOBIG, MCQ_ESTALE. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_port_send(struct mcq_port *port, uint32_t kind,
                                                  const void *data, size_t len);

struct mcq_port_msg {
    const void *data; /* aligned to 8 */
    uint32_t len, kind;
};
/* mcq_port_recv fills msgs[0, n) with what is there and returns how many; they are borrowed until
 * the next call of it or of mcq_port_wait. What the shard sent before it ended is still there. */
MCQ_API size_t mcq_port_recv(struct mcq_port *port, struct mcq_port_msg *msgs, size_t n);
/* mcq_port_wait sleeps until there is a message, or room after an MCQ_EAGAIN (once), or timeout_ns
 * have passed (UINT64_MAX: without end). Errors: MCQ_EAGAIN (the time has passed), MCQ_ESTALE (the
 * shard has ended, and nothing is there). */
MCQ_API enum mcq_error mcq_port_wait(struct mcq_port *port, uint64_t timeout_ns);
/* For a loop of one's own: mcq_port_rest returns true if there is nothing now; mcq_port_fd becomes
 * readable then as soon as mcq_port_wait would return. Never to be read. */
MCQ_API bool mcq_port_rest(struct mcq_port *port);
MCQ_API int mcq_port_fd(const struct mcq_port *port);
/* mcq_port_close *takes* port: the shard gets what was sent; waits until it has. Within the life of
 * the app, or after mcq_run has returned. */
MCQ_API void mcq_port_close(struct mcq_port *port);

/* --- the shard's side ---------------------------------------------------------------------- */

/* mcq_port_reply copies data[0, len) to the thread; it leaves at the end of the turn.
 * Errors: MCQ_EAGAIN (`room` follows), MCQ_ETOOBIG, MCQ_ETHREAD, MCQ_ESTALE (inside `closed`). */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_port_reply(struct mcq_port_end *end, uint32_t kind,
                                                   const void *data, size_t len);
MCQ_API void *mcq_port_user(const struct mcq_port_end *end);
MCQ_API void mcq_port_set_user(struct mcq_port_end *end, void *user);

#ifdef __cplusplus
}
#endif
#endif
