// Handlers of a 64-bit or 32-bit guest that note each exception (vector, error code, place, CR2) and go on at the address that
// the program keeps in R15; in 32-bit code as many bytes behind the exception as EDI says.
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class FaultLog
{
    private const int StubLength = 16;
    private const uint Common = Layout.Handlers + 32 * StubLength;
    private const ulong InterruptGate = 0x8E00, UserGate = 0xEE00;

    // SDM vol. 3, table 6-1.
    private static readonly int[] s_withError = [8, 10, 11, 12, 13, 14, 17];

    /// <summary>Writes the handlers of a 64-bit guest.</summary>
    internal static void Write64(SmallMachine machine)
    {
        for (var vector = 0; vector < 32; vector++)
        {
            var at = Layout.Handlers + (uint)(vector * StubLength);
            machine.Load(at, Modes.Assemble(64, at, c => Stub(c, vector)));
            SetGate64(machine, vector, at, vector is 3 or 4);
        }
        machine.Load(Common, Modes.Assemble(64, Common, c =>
        {
            c.push(rax);
            c.push(rbx);
            c.mov(ebx, __dword_ptr[Layout.Log]);
            c.shl(ebx, 5);
            c.mov(rax, __qword_ptr[rsp + 16]);
            c.mov(__qword_ptr[rbx + Layout.Log + 8], rax);
            c.mov(rax, __qword_ptr[rsp + 24]);
            c.mov(__qword_ptr[rbx + Layout.Log + 16], rax);
            c.mov(rax, __qword_ptr[rsp + 32]);
            c.mov(__qword_ptr[rbx + Layout.Log + 24], rax);
            c.mov(rax, cr2);
            c.mov(__qword_ptr[rbx + Layout.Log + 32], rax);
            c.add(__dword_ptr[Layout.Log], 1);
            c.mov(__qword_ptr[rsp + 32], r15);
            c.pop(rbx);
            c.pop(rax);
            c.add(rsp, 16);
            c.iretq();
        }));
    }

    /// <summary>Writes the handlers of a 32-bit guest.</summary>
    internal static void Write32(SmallMachine machine)
    {
        for (var vector = 0; vector < 32; vector++)
        {
            var at = Layout.Handlers + (uint)(vector * StubLength);
            machine.Load(at, Modes.Assemble(32, at, c => Stub(c, vector)));
            SetGate32(machine, vector, at, vector is 3 or 4);
        }
        machine.Load(Common, Modes.Assemble(32, Common, c =>
        {
            c.push(eax);
            c.push(ebx);
            c.mov(ebx, __dword_ptr[Layout.Log]);
            c.shl(ebx, 4);
            c.mov(eax, __dword_ptr[esp + 8]);
            c.mov(__dword_ptr[ebx + Layout.Log + 8], eax);
            c.mov(eax, __dword_ptr[esp + 12]);
            c.mov(__dword_ptr[ebx + Layout.Log + 12], eax);
            c.mov(eax, __dword_ptr[esp + 16]);
            c.mov(__dword_ptr[ebx + Layout.Log + 16], eax);
            c.mov(eax, cr2);
            c.mov(__dword_ptr[ebx + Layout.Log + 20], eax);
            c.add(__dword_ptr[Layout.Log], 1);
            c.add(__dword_ptr[esp + 16], edi);
            c.pop(ebx);
            c.pop(eax);
            c.add(esp, 8);
            c.iretd();
        }));
    }

    /// <summary>Lets a vector of a 64-bit guest go to an address, through an interrupt gate.</summary>
    internal static void SetGate64(SmallMachine machine, int vector, ulong handler, bool user = false)
    {
        Put(machine, Layout.Idt + (ulong)vector * 16, (handler & 0xFFFF) | (ulong)Layout.Code64 << 16 | (user ? UserGate : InterruptGate) << 32 | (handler >> 16 & 0xFFFF) << 48);
        Put(machine, Layout.Idt + (ulong)vector * 16 + 8, handler >> 32);
    }

    /// <summary>The same in a 32-bit guest.</summary>
    internal static void SetGate32(SmallMachine machine, int vector, ulong handler, bool user = false) =>
        Put(machine, Layout.Idt + (ulong)vector * 8, (handler & 0xFFFF) | (ulong)Layout.Code32 << 16 | (user ? UserGate : InterruptGate) << 32 | (handler >> 16 & 0xFFFF) << 48);

    private static void Stub(Assembler c, int vector)
    {
        if (!s_withError.Contains(vector)) c.push(0);
        c.push(vector);
        c.jmp(Common);
    }

    private static void Put(SmallMachine machine, ulong at, ulong value) => Xunit.Assert.True(machine.Memory.TryWrite(at, value));
}
