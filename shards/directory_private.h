/* The tables of the directory, for directory.c. */
#ifndef MCQ_SHARDS_DIRECTORY_PRIVATE_H
#define MCQ_SHARDS_DIRECTORY_PRIVATE_H

#include "shards/directory.h"

/* Of an identity; and the shard that decides about it. */
uint64_t mcq_directory_hash(const struct mcq_directory *d, uint32_t life,
                            struct mcq_slice identity);
uint32_t mcq_directory_authority(const struct mcq_directory *d, uint64_t hash);
/* Where claims and records of a name are linked, and records of an identity. */
struct mcq_list *mcq_directory_claim_bucket(const struct mcq_directory *d, uint64_t bits);
struct mcq_list *mcq_directory_record_bucket(const struct mcq_directory *d, uint64_t bits);
struct mcq_list *mcq_directory_key_bucket(const struct mcq_directory *d, uint64_t hash);

/* false: there is no room for one so long. */
MCQ_MUST_USE bool mcq_directory_key_init(struct mcq_directory *d, struct mcq_directory_key *key,
                                         uint32_t life, struct mcq_slice identity);
void mcq_directory_key_fini(struct mcq_directory *d, struct mcq_directory_key *key);

/* By name; NULL: none. */
struct mcq_claim *mcq_directory_find_claim(const struct mcq_directory *d, uint64_t bits);
struct mcq_record *mcq_directory_find_record(const struct mcq_directory *d, uint64_t bits);
/* The one of that identity that has the role here. */
struct mcq_record *mcq_directory_find_role(const struct mcq_directory *d, uint64_t hash,
                                           uint32_t life, struct mcq_slice identity,
                                           enum mcq_record_role role);

#endif
