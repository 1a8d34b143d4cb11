# The steering program: shards/steer.bpf.c compiled for the kernel's virtual machine, and libbpf's
# skeleton of it, generated/shards/steer.skel.h. Without clang or bpftool the library is built
# without it (shards/steer_without.c), and steering begins with classic BPF.
find_program(MCQ_BPF_CLANG NAMES clang-14 clang)
find_program(MCQ_BPFTOOL bpftool PATHS /usr/sbin /sbin)
mark_as_advanced(MCQ_BPF_CLANG MCQ_BPFTOOL)
option(MCQ_EBPF "Build the eBPF steering program" ON)

set(MCQ_STEER_EBPF OFF)
if(MCQ_EBPF AND MCQ_BPF_CLANG AND MCQ_BPFTOOL)
    set(MCQ_STEER_EBPF ON)
elseif(MCQ_EBPF)
    message(STATUS "No clang or no bpftool: built without eBPF steering, which begins with classic "
                   "BPF then. Debian has them in clang-14 and bpftool.")
endif()

set(MCQ_GENERATED ${PROJECT_BINARY_DIR}/generated)

# mcq_bpf_skeleton(<source> <header> <name>): the header is generated in MCQ_GENERATED.
function(mcq_bpf_skeleton source header name)
    cmake_path(GET header STEM stem)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${stem}.bpf.o)
    set(out ${MCQ_GENERATED}/${header})
    cmake_path(GET out PARENT_PATH dir)
    file(MAKE_DIRECTORY ${dir})
    # bpftool's object has no DWARF, and so no path of this tree.
    add_custom_command(
        OUTPUT ${out}
        COMMAND ${MCQ_BPF_CLANG} -O2 -g -Wall -Wextra -Werror --target=bpf -ffreestanding
                -I ${MCQ_ROOMS_DIR} -I ${PROJECT_SOURCE_DIR}
                -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
                -MD -MF ${object}.d -MT ${out} -c ${source} -o ${object}
        COMMAND ${MCQ_BPFTOOL} gen object ${object}.linked ${object}
        COMMAND ${MCQ_BPFTOOL} gen skeleton ${object}.linked name ${name} > ${out}
        DEPENDS ${source}
        DEPFILE ${object}.d
        COMMENT "Compiling ${source} for eBPF"
        VERBATIM)
endfunction()
