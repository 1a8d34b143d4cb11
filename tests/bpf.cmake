# The steering policy as the kernel runs it, compared with what C says.
if(MCQ_STEER_EBPF)
    mcq_bpf_skeleton(${CMAKE_CURRENT_SOURCE_DIR}/bpf/steer_twin.bpf.c tests/bpf/steer_twin.skel.h
                     mcq_steer_twin_bpf)
    add_executable(steer_twin bpf/steer_twin.c ${MCQ_GENERATED}/tests/bpf/steer_twin.skel.h)
    target_include_directories(steer_twin SYSTEM PRIVATE ${MCQ_GENERATED})
    target_link_libraries(steer_twin PRIVATE ${MCQ_ALL_ROOMS} mcq_test)
    mcq_add_test(steer_twin LABEL program COMMAND steer_twin)
else()
    message(STATUS "steer_twin is not built: there is no eBPF program to compare with")
endif()
