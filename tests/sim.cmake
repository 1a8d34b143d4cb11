# The simulator: mcq_simkernel stands in for mcq_kernel. Of tests/sim/*.c, the kernel's nouns are
# listed, test_*.c are its own unit tests, and all others are the simulator's program.
set(simkernel_nouns abi blocks clock event file kernel net op outside place probe random ring socket
    spare sqpoll stream transfer)
set(sim_dir ${CMAKE_CURRENT_SOURCE_DIR}/sim)
file(GLOB sim_all CONFIGURE_DEPENDS ${sim_dir}/*.c)
set(sim_tests ${sim_all})
list(FILTER sim_tests INCLUDE REGEX "/test_[a-z_]+\\.c$")
set(sim_kernel "")
foreach(noun IN LISTS simkernel_nouns)
    list(APPEND sim_kernel ${sim_dir}/${noun}.c)
endforeach()
set(sim_program ${sim_all})
list(REMOVE_ITEM sim_program ${sim_kernel} ${sim_tests})

# Above the ABI of io_uring the ring is the library's own; but for its fences, which are the
# machine's.
set(sim_uring ${MCQ_ROOMS_DIR}/runtime/uring.c ${MCQ_ROOMS_DIR}/runtime/uring_ops.c)
add_library(mcq_simkernel OBJECT ${sim_kernel} ${sim_uring})
set_source_files_properties(${sim_uring} PROPERTIES
                            COMPILE_OPTIONS "-include;${sim_dir}/fence.h")
target_link_libraries(mcq_simkernel PUBLIC mcq_test_base PkgConfig::LIBURING)
# Whatever asks the host for its caches is answered by the simulated machine; so are threads that
# are no shards (sim/outside.c).
set(sim_wraps sysconf eventfd read close ppoll clock_gettime sched_yield)
list(TRANSFORM sim_wraps PREPEND "-Wl,--wrap=")
target_link_options(mcq_simkernel INTERFACE ${sim_wraps})
set(MCQ_SIM_ROOMS mcq_mem mcq_proto mcq_patterns mcq_runtime mcq_shards mcq_simkernel)

if(COMMAND mcq_add_unit)
    mcq_add_unit(sim SOURCES ${sim_tests} LINK ${MCQ_SIM_ROOMS})
endif()

# The program: the world over the simulated kernel. Its arenas are its own (sim/memory.c).
list(FILTER sim_program EXCLUDE REGEX "/(main|ghosts)\\.c$")
add_library(mcq_simworld OBJECT ${sim_program})
target_link_libraries(mcq_simworld PUBLIC mcq_test_base)

function(mcq_add_sim name main)
    add_executable(${name} ${main}
        $<TARGET_OBJECTS:mcq_simworld>
        $<TARGET_OBJECTS:mcq_simkernel>
        $<FILTER:$<TARGET_OBJECTS:mcq_mem>,EXCLUDE,/os_mem\\.c\\.o$>
        $<TARGET_OBJECTS:mcq_proto>
        $<TARGET_OBJECTS:mcq_patterns>
        $<TARGET_OBJECTS:mcq_runtime>
        $<TARGET_OBJECTS:mcq_shards>)
    target_link_libraries(${name} PRIVATE mcq_test_base ${MCQ_LINK})
    target_link_options(${name} PRIVATE ${sim_wraps})
endfunction()

mcq_add_sim(sim ${sim_dir}/main.c)
mcq_add_sim(ghosts ${sim_dir}/ghosts.c)

# Seeds of each test run: what fits 20 s on two cores. Debug builds take twice, sanitizers six times
# as long as the preset sim.
set(sim_seeds 400)
set(sim_many_seeds 100)
set(sim_ghost_steps 700000)
if(MCQ_SANITIZE)
    set(sim_seeds 120)
    set(sim_many_seeds 40)
    set(sim_ghost_steps 140000)
endif()
if(NOT MCQ_SANITIZE MATCHES "thread")
    mcq_add_test(sim LABEL sim COMMAND sim --seeds ${sim_seeds})
    mcq_add_test(sim-twice LABEL sim COMMAND sim --twice 20 --from 900001)
    mcq_add_test(sim-many LABEL sim COMMAND sim --seeds ${sim_many_seeds} --shards 0)
    mcq_add_test(sim-many-twice LABEL sim COMMAND sim --twice 10 --from 900001 --shards 0)
    mcq_add_test(sim-ghosts LABEL sim COMMAND ghosts ${sim_ghost_steps})
    mcq_add_test(sim-plants LABEL sim COMMAND ${sim_dir}/plants/check)
endif()
