/* Names of libzmq's socket options, and what became of each here. */
#ifndef MCQ_SHARDS_ZMQ_NAMES_H
#define MCQ_SHARDS_ZMQ_NAMES_H

#include <stdbool.h>

/* name: with or without "ZMQ_". *ours: our option ("send_hwm_msgs") or call ("call mcq_subscribe"),
 * NULL: there is none; *why: what differs, or the reason. Static texts. false: libzmq has no such
 * option either. */
bool mcq_zmq_name_find(const char *name, const char **ours, const char **why);

#endif
