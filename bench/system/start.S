// Takes the bench's guest from Multiboot's 32-bit mode to 64-bit C on the first CPU, the second one from its start-up interrupt to
// the same place, and has the interrupt handlers. Memory up to 4 GiB is mapped one to one by 2 MiB pages.
    .set STACK, 0x4000
    .section .multiboot, "a"
    .balign 4
    .long 0x1BADB002, 0, -0x1BADB002

    .text
    .code32
    .globl _start
_start:
    cli
    mov $tables, %edi
    lea 4096+7(%edi), %eax
    mov %eax, (%edi)                    // PML4 to the table of GiBs
    mov $4, %ecx
    lea 8192+7(%edi), %eax
    lea 4096(%edi), %ebx
1:  mov %eax, (%ebx)
    add $4096, %eax
    add $8, %ebx
    loop 1b
    lea 8192(%edi), %ebx
    mov $0xe7, %eax                     // present, writable, user, accessed, dirty, 2 MiB
    mov $2048, %ecx
1:  mov %eax, (%ebx)
    add $0x200000, %eax
    add $8, %ebx
    loop 1b
    mov $stack + STACK, %esp
    push $main
    jmp enter_long

// In: the address to go on at is on the stack, which stays.
enter_long:
    mov $tables, %eax
    mov %eax, %cr3
    mov $0x6b0, %eax                    // PSE, PAE, PGE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax                     // SCE, LME, NXE
    wrmsr
    mov $0x80010033, %eax               // PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
    lgdt gdt_at
    ljmp $8, $1f
    .code64
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    lidt idt_at
    xor %eax, %eax
    mov (%rsp), %eax
    and $-16, %rsp
    call *%rax
1:  hlt
    jmp 1b

// Copied to 8000h: where the second CPU starts, in real mode.
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl 0x8000 + gdt_copy - trampoline
    mov $1, %eax
    mov %eax, %cr0
    ljmpl $24, $second
gdt_copy:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .balign 4096                        // what stands before is not run any more when it is watched
    .code32
second:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $stack2 + STACK, %esp
    push $second_main
    jmp enter_long

    .code64
    .globl on_ping, on_pong, on_timer, on_other
on_ping:                                // CPU 1: answers
    push %rax
    mov $0xfee00000, %eax
    movl $0, 0xb0(%rax)
    movl $0, 0x310(%rax)
    movl $0x41, 0x300(%rax)
    pop %rax
    iretq
on_pong:                                // CPU 0: the answer
    incl answers(%rip)
on_timer:
    push %rax
    mov $0xfee00000, %eax
    movl $0, 0xb0(%rax)
    pop %rax
    iretq
on_other:
    iretq

    .section .rodata
    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdt_end:
gdt_at:
    .word gdt_end - gdt - 1
    .quad gdt
    .globl idt, tables
idt_at:
    .word 4095
    .quad idt

    .bss
    .balign 4096
tables: .skip 6 * 4096
idt:    .skip 4096
stack:  .skip STACK
stack2: .skip STACK
