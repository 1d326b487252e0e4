// Which of x86's register sets a debugger works with: GDB asks once, when it attaches, and takes the disassembler's mode from it as well.
namespace Lamina.Definition;

/// <summary>What a debugger takes the guest's processors for, by GDB's names.</summary>
public enum GdbArchitecture
{
    /// <summary>64-bit registers ("i386:x86-64").</summary>
    X64,

    /// <summary>32-bit registers, 32-bit code ("i386").</summary>
    I386,

    /// <summary>32-bit registers, 16-bit code ("i8086").</summary>
    I8086,

    /// <summary>Whichever of them the first vCPU's mode is when a debugger attaches.</summary>
    Auto,
}
