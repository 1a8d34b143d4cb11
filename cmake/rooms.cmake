# One object library per room, so that a test can link a room alone: a test of proto/ that needed
# anything of runtime/ would not link.

# mcq_objects(<target> SOURCES <file>... [LINK <target>...])
# Without sources the target is an empty interface.
set(MCQ_OBJECTS "")
function(mcq_objects target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    if(NOT arg_SOURCES)
        add_library(${target} INTERFACE)
        return()
    endif()
    add_library(${target} OBJECT ${arg_SOURCES})
    target_include_directories(${target} PUBLIC ${MCQ_ROOMS_DIR} ${MCQ_ROOMS_DIR}/include)
    # Empty, as a file that defines it itself would write it.
    target_compile_definitions(${target} PUBLIC _GNU_SOURCE=)
    # initial-exec: thread-local reads cost one instruction, also inside the shared library, which
    # is linked at program start and never loaded by dlopen into a running one.
    target_compile_options(${target} PRIVATE -ftls-model=initial-exec)
    target_link_libraries(${target} PRIVATE mcq_warnings PUBLIC ${arg_LINK})
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON
                          C_VISIBILITY_PRESET hidden)
    set(MCQ_OBJECTS ${MCQ_OBJECTS} $<TARGET_OBJECTS:${target}> PARENT_SCOPE)
endfunction()

foreach(room IN ITEMS mem proto patterns runtime shards)
    file(GLOB MCQ_${room}_SOURCES CONFIGURE_DEPENDS ${MCQ_ROOMS_DIR}/${room}/*.c)
    list(FILTER MCQ_${room}_SOURCES EXCLUDE REGEX "\\.bpf\\.c$")
endforeach()

# Steering by eBPF, or what says that there is none (steer.cmake).
if(MCQ_STEER_EBPF)
    list(FILTER MCQ_shards_SOURCES EXCLUDE REGEX "/steer_without\\.c$")
    mcq_bpf_skeleton(${MCQ_ROOMS_DIR}/shards/steer.bpf.c shards/steer.skel.h mcq_steer_bpf)
    list(APPEND MCQ_shards_SOURCES ${MCQ_GENERATED}/shards/steer.skel.h)
else()
    list(FILTER MCQ_shards_SOURCES EXCLUDE REGEX "/steer\\.c$")
endif()

# The simulation seam: everything in runtime/ that calls the kernel. Simulated tests link another
# implementation of it.
set(MCQ_kernel_SOURCES ${MCQ_runtime_SOURCES})
list(FILTER MCQ_kernel_SOURCES INCLUDE REGEX "/(uring(_[a-z]+)?|net(_[a-z]+)?|clock|random)\\.c$")
list(FILTER MCQ_runtime_SOURCES EXCLUDE REGEX "/(uring(_[a-z]+)?|net(_[a-z]+)?|clock|random)\\.c$")

mcq_objects(mcq_mem SOURCES ${MCQ_mem_SOURCES} LINK PkgConfig::NUMA)
mcq_objects(mcq_proto SOURCES ${MCQ_proto_SOURCES})
mcq_objects(mcq_patterns SOURCES ${MCQ_patterns_SOURCES})
mcq_objects(mcq_kernel SOURCES ${MCQ_kernel_SOURCES} LINK PkgConfig::LIBURING)
mcq_objects(mcq_runtime SOURCES ${MCQ_runtime_SOURCES} LINK PkgConfig::LIBURING)
mcq_objects(mcq_shards SOURCES ${MCQ_shards_SOURCES}
            LINK Threads::Threads PkgConfig::HWLOC PkgConfig::LIBBPF)
target_include_directories(mcq_shards SYSTEM PRIVATE ${MCQ_GENERATED})
