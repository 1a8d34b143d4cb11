/* Steering as text: the items of <monocoque/steer.h>, read and written. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/steer_rules.h"

static const char *const modes[] = {"hash", "cpu", "port", "weights", "least"};
static const char *const rungs[] = {"default", "ebpf", "cbpf", "kernel", "handoff"};

#define ITEM_LEN_MAX 1024u

const char *mcq_steer_mode_name(enum mcq_steer_mode mode)
{
    return (size_t)mode < MCQ_CNT_OF(modes) ? modes[mode] : "?";
}

const char *mcq_steer_rung_name(enum mcq_steer_rung rung)
{
    return (size_t)rung < MCQ_CNT_OF(rungs) ? rungs[rung] : "?";
}

static bool name_read(const char *const *names, size_t cnt, const char *text, uint32_t *value)
{
    for (uint32_t i = 0; i < cnt; i++)
        if (strcmp(names[i], text) == 0) {
            *value = i;
            return true;
        }
    return false;
}

bool mcq_steer_rung_read(const char *name, enum mcq_steer_rung *rung)
{
    uint32_t value;
    if (!name_read(rungs, MCQ_CNT_OF(rungs), name, &value))
        return false;
    *rung = (enum mcq_steer_rung)value;
    return true;
}

/* All of text[0, len), at most max. */
static bool number_read(const char *text, size_t len, uint32_t max, uint32_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        sum = sum * 10 + (uint64_t)(text[i] - '0');
        if (sum > max)
            return false;
    }
    *value = (uint32_t)sum;
    return len != 0;
}

/* --- rules ----------------------------------------------------------------------------------- */

static bool addr_read(const char *text, struct mcq_steer_rule *r)
{
    bool six = strchr(text, ':') != NULL;
    r->family = six ? 6 : 4;
    r->bits = six ? 128 : 32;
    return inet_pton(six ? AF_INET6 : AF_INET, text, r->addr) == 1;
}

static enum mcq_error prefix_read(const char *text, size_t len, struct mcq_steer_rule *r,
                                  struct mcq_detail *detail)
{
    char addr[INET6_ADDRSTRLEN + 4] = "";
    uint32_t bits;
    *r = (struct mcq_steer_rule){0};
    if (len < sizeof(addr))
        mcq_bytes_copy(addr, text, len);
    char *slash = strchr(addr, '/');
    if (slash != NULL)
        *slash++ = '\0';
    if (!addr_read(addr, r))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "steering: '%.*s' is no address: write 10.1.2.3=0, 10.1.0.0/16=0 or "
                              "fd00::/8=0",
                              (int)mcq_min(len, 48), text);
    if (slash == NULL)
        return MCQ_OK;
    if (!number_read(slash, strlen(slash), r->bits, &bits))
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: '%.*s': write /0 to /%u",
                              (int)mcq_min(len, 48), text, r->bits);
    r->bits = (uint8_t)bits;
    return MCQ_OK;
}

enum mcq_error mcq_steer_rule_parse(const char *text, bool with_shard, struct mcq_steer_rule *rule,
                                    struct mcq_detail *detail)
{
    size_t len = strcspn(text, "=");
    enum mcq_error err = prefix_read(text, len, rule, detail);
    if (err != MCQ_OK)
        return err;
    if (!with_shard && text[len] == '\0')
        return MCQ_OK;
    if (!with_shard || text[len] == '\0' ||
        !number_read(text + len + 1, strlen(text + len + 1), MCQ_STEER_SHARD_CNT - 1, &rule->shard))
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: '%.48s': write %s", text,
                              with_shard ? "PREFIX=SHARD, as in 10.1.0.0/16=0" : "a prefix alone");
    return MCQ_OK;
}

void mcq_steer_rule_format(const struct mcq_steer_rule *rule, char text[MCQ_STEER_RULE_TEXT_LEN])
{
    char addr[INET6_ADDRSTRLEN] = "";
    uint32_t all = rule->family == 4 ? 32 : 128;
    inet_ntop(rule->family == 4 ? AF_INET : AF_INET6, rule->addr, addr, sizeof(addr));
    if (rule->bits == all)
        snprintf(text, MCQ_STEER_RULE_TEXT_LEN, "%s=%u", addr, rule->shard);
    else
        snprintf(text, MCQ_STEER_RULE_TEXT_LEN, "%s/%u=%u", addr, rule->bits, rule->shard);
}

/* --- items ----------------------------------------------------------------------------------- */

static enum mcq_error weights_read(struct mcq_steer_tables *t, const char *text,
                                   struct mcq_detail *detail)
{
    uint32_t weights[MCQ_STEER_SHARD_CNT];
    uint32_t cnt = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ":");
        if (cnt == MCQ_STEER_SHARD_CNT ||
            !number_read(at, len, MCQ_STEER_WEIGHT_MAX, &weights[cnt]))
            return mcq_detail_set(detail, MCQ_EINVAL, 0,
                                  "steering: weights=%.48s: write one number up to %u per shard, "
                                  "weights=1:3",
                                  text, MCQ_STEER_WEIGHT_MAX);
        cnt++;
        at += len;
        if (*at == '\0')
            break;
    }
    t->conf.mode = MCQ_STEER_BY_WEIGHTS;
    return mcq_steer_tables_set_weights(t, weights, cnt, detail);
}

static enum mcq_error item_read(struct mcq_steer_tables *t, const char *item,
                                enum mcq_steer_rung *rung, struct mcq_detail *detail)
{
    struct mcq_steer_rule rule;
    uint32_t value;
    if (strncmp(item, "mode=", 5) == 0) {
        if (name_read(modes, MCQ_CNT_OF(modes), item + 5, &value))
            return mcq_steer_tables_set_mode(t, value, detail);
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "steering: %.48s: it is one of hash, cpu, port, weights, least",
                              item);
    }
    if (strncmp(item, "weights=", 8) == 0)
        return weights_read(t, item + 8, detail);
    if (strncmp(item, "rung=", 5) == 0) {
        if (rung == NULL)
            return mcq_detail_set(detail, MCQ_EINVAL, 0,
                                  "steering: %.48s: the rung is chosen at bind", item);
        if (mcq_steer_rung_read(item + 5, rung))
            return MCQ_OK;
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "steering: %.48s: it is one of ebpf, cbpf, kernel, handoff", item);
    }
    enum mcq_error err = mcq_steer_rule_parse(item, true, &rule, detail);
    return err != MCQ_OK ? err : mcq_steer_tables_put(t, &rule, &value, detail);
}

enum mcq_error mcq_steer_tables_read(struct mcq_steer_tables *t, const char *text,
                                     enum mcq_steer_rung *rung, struct mcq_detail *detail)
{
    char item[ITEM_LEN_MAX];
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (len >= sizeof(item))
            return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: '%.32s...' is too long", text);
        mcq_bytes_copy(item, text, len);
        item[len] = '\0';
        enum mcq_error err = item_read(t, item, rung, detail);
        if (err != MCQ_OK)
            return err;
        text += len;
        if (*text == ',' && *++text == '\0')
            return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: it ends in a comma");
    }
    return MCQ_OK;
}
