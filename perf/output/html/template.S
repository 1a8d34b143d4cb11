/* The built page in read-only data; the compiler never sees it, so its length has no limit. */
    .section .rodata
    .balign 8
    .globl perf_html_head_len, perf_html_tail_len, perf_html_head, perf_html_tail
    .type perf_html_head_len, %object
    .size perf_html_head_len, 8
perf_html_head_len:
    .quad .Lhead_end - perf_html_head
    .type perf_html_tail_len, %object
    .size perf_html_tail_len, 8
perf_html_tail_len:
    .quad .Ltail_end - perf_html_tail
    .type perf_html_head, %object
perf_html_head:
    .incbin "head.html"
.Lhead_end:
    .size perf_html_head, .Lhead_end - perf_html_head
    .type perf_html_tail, %object
perf_html_tail:
    .incbin "tail.html"
.Ltail_end:
    .size perf_html_tail, .Ltail_end - perf_html_tail
    .section .note.GNU-stack, "", %progbits
