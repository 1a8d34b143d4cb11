/* Raw: the far end of a connection, spoken by hand: ZMTP 3.1 with NULL on a blocking socket, from
 * any thread but the shard's. No call waits longer than MCQ_RAW_WAIT_MS for the other side.
 */
#ifndef MCQ_TESTS_RAW_H
#define MCQ_TESTS_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/text.h"

#define MCQ_RAW_WAIT_MS 100000
#define MCQ_RAW_MORE    1u
#define MCQ_RAW_COMMAND 4u

/* A listener on 127.0.0.1; endpoint: where, as text. port 0: an ephemeral one. */
int mcq_raw_listen(uint16_t port, char endpoint[64]);
uint16_t mcq_raw_port(const char *endpoint);
/* -1: nobody came in time. */
int mcq_raw_accept(int listener);
/* Connects to tcp://127.0.0.1:PORT. rcvbuf: SO_RCVBUF, 0: the system's. -1: refused. */
int mcq_raw_connect(const char *endpoint, int rcvbuf);
/* Greeting and READY, both ways. identity may be NULL. False: the other side hung up. */
bool mcq_raw_hello(int fd, const char *type, const char *identity);
/* connect and hello; aborts if that fails. */
int mcq_raw_open(const char *endpoint, const char *type);

/* What hello sends, for those who send it themselves. */
void mcq_raw_greeting(struct mcq_text *out);
void mcq_raw_ready(struct mcq_text *out, const char *type, const char *identity);

/* Appends a frame. */
void mcq_raw_frame(struct mcq_text *out, unsigned flags, const void *body, size_t len);
/* Appends a command: its name, then data. */
void mcq_raw_command(struct mcq_text *out, const char *name, const void *data, size_t len);

/* All or false. */
bool mcq_raw_write(int fd, const void *bytes, size_t len);
bool mcq_raw_read(int fd, void *bytes, size_t len);
/* As much as goes at once without waiting, at most len; 0: nothing. */
size_t mcq_raw_write_some(int fd, const void *bytes, size_t len);
/* What is there, without waiting; 0: nothing. */
size_t mcq_raw_read_some(int fd, void *bytes, size_t len);
/* One frame into body (which is emptied first). False: the stream has ended. */
bool mcq_raw_next(int fd, unsigned *flags, struct mcq_text *body);
/* The same, commands skipped. */
bool mcq_raw_next_message(int fd, unsigned *flags, struct mcq_text *body);
/* True once the other side has ended the stream (what still comes is thrown away). */
bool mcq_raw_ended(int fd);
/* No more comes from here. */
void mcq_raw_shut(int fd);
/* Ends with RST. */
void mcq_raw_reset(int fd);
void mcq_raw_close(int fd);

#endif
