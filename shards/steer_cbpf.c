/* RAW: memory of a program, and the system call that attaches it to a socket; sound because the
 * kernel checks it, and the socket is its caller's; called by group_rung. */
#include "shards/steer_cbpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "mem/slice.h"

#define NET       ((uint32_t)SKF_NET_OFF)
#define V4_SOURCE 12
#define V6_SOURCE 8
#define V6_HEADER 40
#define CPU_RULES 256u /* of the cpu mode; the kernel's hash has the others */
/* Instructions kept for the mode, and for spreading. */
#define TAIL_MAX (12u + 2 * CPU_RULES + 2 * MCQ_STEER_SHARD_CNT)

struct mcq_steer_cbpf *mcq_steer_cbpf_create(void)
{
    return calloc(1, sizeof(struct mcq_steer_cbpf));
}

void mcq_steer_cbpf_destroy(struct mcq_steer_cbpf *p)
{
    free(p);
}

static void emit(struct mcq_steer_cbpf *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
    MCQ_ASSERT(p->len < MCQ_STEER_CBPF_MAX);
    p->code[p->len++] = (struct sock_filter){code, jt, jf, k};
}

static void answer(struct mcq_steer_cbpf *p, uint32_t place)
{
    emit(p, BPF_RET | BPF_K, 0, 0, place);
}

static uint32_t word_of(const struct mcq_steer_rule *r, uint32_t i)
{
    uint32_t word;
    mcq_bytes_copy(&word, r->addr + 4 * i, sizeof(word));
    return ntohl(word);
}

static uint32_t mask_of(uint32_t bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (32 - (bits < 32 ? bits : 32));
}

/* Instructions of a rule: per word load and compare, a mask if it ends within one; the answer. */
static uint32_t rule_len(const struct mcq_steer_rule *r)
{
    return 2 * ((r->bits + 31u) / 32) + (r->bits % 32 != 0 ? 1 : 0) + 1;
}

/* A rule whose shard isn't live ends in the mode, as in the policy: `mode` collects those jumps. */
struct jumps {
    uint32_t cnt;
    uint32_t at[MCQ_STEER_RULE_CNT + 4];
};

static void to_mode(struct mcq_steer_cbpf *p, struct jumps *mode)
{
    mode->at[mode->cnt++] = p->len;
    emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
}

static void rule(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                 const struct mcq_steer_rule *r, const uint32_t place[MCQ_STEER_SHARD_CNT],
                 struct jumps *mode)
{
    uint32_t left = rule_len(r); /* of this rule, the one being written included */
    uint32_t source = NET + (r->family == 4 ? V4_SOURCE : V6_SOURCE);
    for (uint32_t i = 0; 32 * i < r->bits; i++) {
        uint32_t bits = r->bits - 32 * i;
        emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, source + 4 * i);
        left--;
        if (bits < 32) {
            emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask_of(bits));
            left--;
        }
        left--;
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)left, word_of(r, i));
    }
    bool live = t->conf.is_live[r->shard] && place[r->shard] != MCQ_STEER_CBPF_NONE;
    if (live)
        answer(p, place[r->shard]);
    else
        to_mode(p, mode);
    p->rules_cnt++;
}

static void rules_of(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                     const uint32_t place[MCQ_STEER_SHARD_CNT], uint8_t family, uint32_t max,
                     struct jumps *mode)
{
    for (uint32_t i = 0; i < t->rules_cnt && p->rules_cnt < max; i++) {
        const struct mcq_steer_rule *r = &t->rules[i].rule;
        if (r->family != family)
            continue;
        if (p->len + rule_len(r) + 1 + TAIL_MAX > MCQ_STEER_CBPF_MAX)
            return; /* shorter ones would be looked at before it */
        rule(p, t, r, place, mode);
    }
}

/* A is a number; those it names go there. */
static void cpu_mode(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                     const uint32_t place[MCQ_STEER_SHARD_CNT])
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU));
    for (uint32_t cpu = 0; cpu < CPU_RULES; cpu++) {
        uint32_t shard = t->cpus[cpu];
        if (shard == MCQ_STEER_NO_SHARD || !t->conf.is_live[shard] ||
            place[shard] == MCQ_STEER_CBPF_NONE)
            continue;
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, cpu);
        answer(p, place[shard]);
    }
}

/* IPv4's header has a length; IPv6 has 40 bytes, and with extensions it isn't steered here. */
static void port_mode(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                      const uint32_t place[MCQ_STEER_SHARD_CNT], bool six)
{
    if (six) {
        emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 2, 0, ETH_P_IP);
        emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, NET + V6_HEADER);
        emit(p, BPF_JMP | BPF_JA, 0, 0, 2);
    }
    emit(p, BPF_LDX | BPF_B | BPF_MSH, 0, 0, NET);
    emit(p, BPF_LD | BPF_H | BPF_IND, 0, 0, NET);
    emit(p, BPF_ALU | BPF_MOD | BPF_K, 0, 0, t->conf.shard_cnt);
    for (uint32_t shard = 0; shard < t->conf.shard_cnt; shard++)
        if (t->conf.is_live[shard] && place[shard] != MCQ_STEER_CBPF_NONE) {
            emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, shard);
            answer(p, place[shard]);
        }
}

/* While a listener is about to close the kernel's hash would still choose it: chance does as well,
 * and passes it over. */
static void spread(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                   const uint32_t place[MCQ_STEER_SHARD_CNT])
{
    uint32_t cnt = 0, idx = 0, parting = 0;
    for (uint32_t i = 0; i < t->conf.shard_cnt; i++)
        if (place[i] != MCQ_STEER_CBPF_NONE)
            *(t->conf.is_live[i] ? &cnt : &parting) += 1;
    if (cnt != 0 && parting != 0) {
        emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
        emit(p, BPF_ALU | BPF_MOD | BPF_K, 0, 0, cnt);
        for (uint32_t i = 0; i < t->conf.shard_cnt; i++)
            if (place[i] != MCQ_STEER_CBPF_NONE && t->conf.is_live[i]) {
                emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, idx++);
                answer(p, place[i]);
            }
    }
    answer(p, MCQ_STEER_CBPF_NONE); /* no such place: the kernel's hash */
}

void mcq_steer_cbpf_compile(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                            const uint32_t place[MCQ_STEER_SHARD_CNT], bool six, uint32_t rules_max)
{
    struct jumps mode = {.cnt = 0};
    p->len = p->rules_cnt = 0;
    if (six) {
        emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ETH_P_IP);
        uint32_t to_four = p->len;
        emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
        rules_of(p, t, place, 6, rules_max, &mode);
        to_mode(p, &mode);
        p->code[to_four].k = p->len - to_four - 1;
    }
    rules_of(p, t, place, 4, rules_max, &mode);
    for (uint32_t i = 0; i < mode.cnt; i++)
        p->code[mode.at[i]].k = p->len - mode.at[i] - 1;
    if (t->conf.mode == MCQ_STEER_BY_CPU)
        cpu_mode(p, t, place);
    if (t->conf.mode == MCQ_STEER_BY_PORT)
        port_mode(p, t, place, six);
    spread(p, t, place);
}

int mcq_steer_cbpf_attach(int fd, struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                          const uint32_t place[MCQ_STEER_SHARD_CNT], bool six)
{
    for (uint32_t max = MCQ_STEER_RULE_CNT;; max = p->rules_cnt / 2) {
        mcq_steer_cbpf_compile(p, t, place, six, max);
        const struct sock_fprog prog = {.len = (uint16_t)p->len, .filter = p->code};
        if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) == 0)
            return 0;
        if (errno != ENOMEM || p->rules_cnt == 0)
            return -errno;
    }
}
