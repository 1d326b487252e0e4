// Paging, protection, traps and interrupts as the manual has them, where the engine caches and chains: translations of
// addresses that change under it, code that is reached and changed by several addresses, events in the middle of loops.
using Iced.Intel;
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Lamina.Tests.Engine.Conformance.Oracle;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Conformance;

public sealed class SystemTests
{
    private const ulong First = CaseLayout.Data, Second = CaseLayout.Data + 0x1000, ReadOnly = CaseLayout.Data + CaseLayout.WritableData;
    private const ulong Tables = GuestTables.High;
    private const ulong Present = 1, Writable = 2, User = 4, Accessed = 0x20, Dirty = 0x40, Global = 0x100, NoExecute = 1ul << 63;
    private const ulong Cr0WriteProtect = 1 << 16, Cr4Global = 1 << 7, Cr4Smep = 1 << 20, Cr4Smap = 1 << 21;
    private const int PageFault = 14, Breakpoint = 3;

    public static TheoryData<string> Profiles => ["default", "precise", "single"];

    private static ulong PageOf(ulong linear) => GuestTables.PhysicalOf((int)(linear - CaseLayout.Data));

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_changed_translation_is_used_after_INVLPG(string profile)
    {
        using var guest = new SystemGuest(profile);
        var result = guest.Run(c =>
        {
            c.mov(__dword_ptr[First], 1);
            c.mov(__dword_ptr[Second], 2);
            c.mov(eax, __dword_ptr[First]);
            c.mov(rsi, Tables + GuestTables.EntryOf(GuestTables.SupervisorRoot, First));
            c.mov(rdi, PageOf(Second) | Present | Writable);
            c.mov(__[rsi], rdi);
            c.invlpg(__byte_ptr[First]);
            c.mov(ebx, __dword_ptr[First]);
            c.mov(__dword_ptr[First], 3);
            c.mov(ecx, __dword_ptr[Second]);
        });
        Assert.Equal((Breakpoint, 1ul, 2ul, 3ul), (result.Vector, result.Gpr[0], result.Gpr[3], result.Gpr[1]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_translation_that_changes_again_and_again_is_used_after_each_INVLPG(string profile)
    {
        using var guest = new SystemGuest(profile);
        var result = guest.Run(c =>
        {
            var again = c.CreateLabel();
            c.mov(__dword_ptr[First], 1);
            c.mov(__dword_ptr[Second], 16);
            c.mov(__dword_ptr[First + 8], 0);
            c.mov(__dword_ptr[Second + 8], 0);
            c.mov(rsi, Tables + GuestTables.EntryOf(GuestTables.SupervisorRoot, First));
            c.mov(rdi, PageOf(First) ^ PageOf(Second));
            c.mov(ecx, 6);
            c.Label(ref again);
            c.xor(__[rsi], rdi);
            c.invlpg(__byte_ptr[First + 5]);
            c.add(ebx, __dword_ptr[First]);
            c.inc(__dword_ptr[First + 8]);
            c.dec(ecx);
            c.jne(again);
            c.mov(eax, __dword_ptr[First + 8]);
            c.mov(edx, __dword_ptr[Second + 8]);
        });
        Assert.Equal((Breakpoint, 3ul * 17, 3ul, 3ul), (result.Vector, result.Gpr[3], result.Gpr[0], result.Gpr[2]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_write_of_CR3_brings_another_address_space(string profile)
    {
        using var guest = new SystemGuest(profile);
        var result = guest.Run(c =>
        {
            c.mov(__dword_ptr[First], 1);
            c.mov(__dword_ptr[Second], 2);
            c.mov(rsi, Tables + GuestTables.EntryOf(GuestTables.UserRoot, First));
            c.mov(rdi, PageOf(Second) | Present | Writable);
            c.mov(__[rsi], rdi);
            for (var i = 0; i < 3; i++)
            {
                c.mov(rax, GuestTables.UserRoot);
                c.mov(cr3, rax);
                c.add(ebx, __dword_ptr[First]);
                c.mov(rax, GuestTables.SupervisorRoot);
                c.mov(cr3, rax);
                c.add(ecx, __dword_ptr[First]);
            }
        });
        Assert.Equal((Breakpoint, 6ul, 3ul), (result.Vector, result.Gpr[3], result.Gpr[1]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_global_translation_goes_with_INVLPG_and_with_CR4_PGE(string profile)
    {
        using var guest = new SystemGuest(profile);
        guest.SetEntry(First, PageOf(First) | Present | Writable | Global);
        var result = guest.Run(c =>
        {
            c.mov(__dword_ptr[First], 1);
            c.mov(__dword_ptr[Second], 2);
            c.mov(rsi, Tables + GuestTables.EntryOf(GuestTables.SupervisorRoot, First));
            c.mov(rdi, PageOf(Second) | Present | Writable | Global);
            c.mov(__[rsi], rdi);
            c.invlpg(__byte_ptr[First]);
            c.mov(ebx, __dword_ptr[First]);
            c.mov(rdi, PageOf(First) | Present | Writable | Global);
            c.mov(__[rsi], rdi);
            c.mov(rax, cr4);
            c.mov(rdx, rax);
            c.xor(rdx, (int)Cr4Global);
            c.mov(cr4, rdx);
            c.mov(cr4, rax);
            c.mov(ecx, __dword_ptr[First]);
        });
        Assert.Equal((Breakpoint, 2ul, 1ul), (result.Vector, result.Gpr[3], result.Gpr[1]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void CR0_WP_decides_whether_a_supervisor_may_write_to_a_read_only_page(string profile)
    {
        using var guest = new SystemGuest(profile);
        void Write(Assembler c)
        {
            c.mov(eax, __dword_ptr[ReadOnly]);
            c.mov(__dword_ptr[ReadOnly], 7);
            c.mov(ebx, __dword_ptr[ReadOnly]);
        }
        var free = guest.Run(Write, state => state.Cr0 &= ~Cr0WriteProtect);
        Assert.Equal((Breakpoint, 7ul), (free.Vector, free.Gpr[3]));
        var bound = guest.Run(Write, state => state.Cr0 |= Cr0WriteProtect);
        Assert.Equal((PageFault, 3ul, ReadOnly), (bound.Vector, bound.Error, bound.Cr2));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_read_only_page_is_one_again_when_CR0_WP_is_set(string profile)
    {
        using var guest = new SystemGuest(profile);
        var result = guest.Run(c =>
        {
            c.mov(rax, cr0);
            c.mov(rdx, rax);
            c.and(rdx, ~(int)Cr0WriteProtect);
            for (var round = 0; round < 2; round++)
            {
                c.mov(cr0, rdx);
                c.inc(__dword_ptr[ReadOnly]);
                c.mov(cr0, rax);
                c.mov(__dword_ptr[First], 7);
                c.mov(ebx, __dword_ptr[ReadOnly]);
            }
            c.inc(__dword_ptr[ReadOnly]);
        }, state => state.Cr0 |= Cr0WriteProtect);
        Assert.Equal((PageFault, 3ul, ReadOnly), (result.Vector, result.Error, result.Cr2));
        Assert.True(guest.Machine.Memory.TryRead<uint>(PageOf(ReadOnly), out var value));
        Assert.Equal(result.Gpr[3], value);
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Code_in_a_no_execute_page_faults_at_its_first_instruction(string profile)
    {
        using var guest = new SystemGuest(profile);
        var result = guest.Run(c =>
        {
            c.mov(__byte_ptr[First], 0xcc);
            c.mov(eax, (uint)First);
            c.jmp(rax);
        });
        Assert.Equal((PageFault, 0x11ul, First, First), (result.Vector, result.Error, result.Cr2, result.Rip));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void SMEP_and_SMAP_keep_a_supervisor_out_of_user_pages(string profile)
    {
        using var guest = new SystemGuest(profile);
        void UserPages(VcpuState state)
        {
            state.Cr4 |= Cr4Smep | Cr4Smap;
            foreach (var table in (ReadOnlySpan<ulong>)[0, 0x1000])
            {
                Assert.True(guest.Machine.Memory.TryRead<ulong>(GuestTables.SupervisorRoot + table, out var entry));
                Assert.True(guest.Machine.Memory.TryWrite(GuestTables.SupervisorRoot + table, entry | User));
            }
            var directory = GuestTables.SupervisorRoot + 0x2000 + (CaseLayout.Base >> 21) * 8;
            Assert.True(guest.Machine.Memory.TryRead<ulong>(directory, out var leaf));
            Assert.True(guest.Machine.Memory.TryWrite(directory, leaf | User));
            guest.SetEntry(First, PageOf(First) | Present | Writable | User);
        }
        var read = guest.Run(c => c.mov(eax, __dword_ptr[First]), UserPages);
        Assert.Equal((PageFault, 1ul, First), (read.Vector, read.Error, read.Cr2));
        var allowed = guest.Run(c =>
        {
            c.stac();
            c.mov(__dword_ptr[First], 9);
            c.mov(eax, __dword_ptr[First]);
            c.clac();
            c.mov(ebx, __dword_ptr[First]);
        }, UserPages);
        Assert.Equal((PageFault, 1ul, 9ul, 0ul), (allowed.Vector, allowed.Error, allowed.Gpr[0], allowed.Gpr[3]));
        var fetch = guest.Run(c =>
        {
            c.mov(eax, (uint)First);
            c.call(rax);
        }, UserPages);
        Assert.Equal((PageFault, 0x11ul, First), (fetch.Vector, fetch.Error, fetch.Rip));
    }

    [Theory]
    [InlineData("default", 0x8000_0000_0000)] // the operand's first byte is at the first offset that is not canonical
    [InlineData("default", 0x7fff_ffff_fffd)] // its last byte is
    [InlineData("single", 0x8000_0000_0000)]
    public void A_linear_address_is_to_be_canonical_and_not_the_offset_in_its_segment(string profile, ulong offset)
    {
        const ulong segmentBase = 0xffff_8000_0000_0000 + First + 8;
        using var guest = new SystemGuest(profile);
        var result = guest.Run(c =>
        {
            c.mov(rcx, segmentBase);
            c.wrgsbase(rcx);
            c.mov(rax, offset);
            c.mov(rdx, offset + segmentBase);
            c.mov(__dword_ptr[rdx], 7);
            c.mov(ebx, __dword_ptr.gs[rax]);
            c.inc(__dword_ptr.gs[rax]);
            c.mov(esi, __dword_ptr[rdx]);
            c.mov(rcx, 0x7fff_ffff_f000);
            c.wrgsbase(rcx);
            c.mov(edi, __dword_ptr.gs[0x1000]);
        });
        Assert.Equal((13, 0ul, 7ul, 8ul), (result.Vector, result.Error, result.Gpr[3], result.Gpr[6]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Reads_set_the_accessed_bit_and_writes_the_dirty_bit(string profile)
    {
        using var guest = new SystemGuest(profile);
        var clean = guest.Entry(Second);
        Assert.Equal(0ul, clean & (Accessed | Dirty));
        guest.Run(c => c.mov(eax, __dword_ptr[Second]));
        Assert.Equal(Accessed, guest.Entry(Second) & (Accessed | Dirty));
        guest.Run(c =>
        {
            c.mov(eax, __dword_ptr[Second]);
            c.mov(__dword_ptr[Second], eax);
        });
        Assert.Equal(Accessed | Dirty, guest.Entry(Second) & (Accessed | Dirty));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_store_through_another_address_of_the_code_takes_effect(string profile)
    {
        using var guest = new SystemGuest(profile);
        guest.SetEntry(Second, GuestTables.PhysicalOf(CaseLayout.CodeInImage) | Present | Writable | NoExecute);
        var result = guest.Run(c =>
        {
            var loop = c.CreateLabel();
            var changed = c.CreateLabel();
            c.mov(ecx, 5);
            c.Label(ref loop);
            c.jmp(changed);
            c.nop();
            c.Label(ref changed);
            c.add(eax, 0x1000_0000); // 05 imm32: its lowest byte is at offset 5 + 2 + 1 + 1
            c.inc(__byte_ptr[Second + 9]);
            c.dec(ecx);
            c.jne(loop);
        });
        Assert.Equal((Breakpoint, 0x5000_000aul), (result.Vector, result.Gpr[0]));
    }

    // Entries that have their bits already are walked by machine code, others by the executor.
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(4, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(3, true)]
    [InlineData(4, true)]
    public void A_page_that_was_written_at_some_addresses_becomes_code_for_stores_at_all_of_them(int addresses, bool used)
    {
        ulong[] places = [First, Second, ReadOnly, CaseLayout.Base + 0x6000];
        using var guest = new SystemGuest("default");
        foreach (var place in places) guest.SetEntry(place, PageOf(First) | Present | Writable | (used ? Accessed | Dirty : 0));
        var result = guest.Run(c =>
        {
            // MOV EAX, number; RET.
            c.mov(rax, 0xc3_0000_0000b8);
            foreach (var place in places[..addresses])
            {
                c.mov(ebx, (uint)place);
                c.mov(__qword_ptr[rbx], rax);
            }
            c.mov(ebp, (uint)First);
            c.call(rbp);
            for (var n = 0; n < addresses; n++)
            {
                c.mov(ebx, (uint)places[n]);
                c.mov(__dword_ptr[rbx + 1], n + 1);
                c.call(rbp);
                c.shl(ecx, 4);
                c.add(ecx, eax);
            }
        });
        Assert.Equal((Breakpoint, new ulong[] { 0x1, 0x12, 0x123, 0x1234 }[addresses - 1]), (result.Vector, result.Gpr[1]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_return_goes_to_what_its_page_leads_to_by_then(string profile)
    {
        using var guest = new SystemGuest(profile);
        guest.SetEntry(First, PageOf(First) | Present | Writable);
        var result = guest.Run(c =>
        {
            var helper = c.CreateLabel();
            var plain = c.CreateLabel();
            var once = c.CreateLabel();
            var done = c.CreateLabel();
            // In each page: CALL RBX; MOV EAX, number; JMP RBP.
            foreach (var (page, number) in ((ulong, ulong)[])[(First, 1), (Second, 2)])
            {
                c.mov(rax, 0xff00_0000_00b8_d3ff | number << 24);
                c.mov(__[page], rax);
                c.mov(__byte_ptr[page + 8], 0xe5);
            }
            c.lea(rbx, __[helper]);
            c.lea(rbp, __[once]);
            c.mov(eax, (uint)First);
            c.jmp(rax);
            c.Label(ref once);
            c.mov(ecx, eax);
            c.mov(rsi, Tables + GuestTables.EntryOf(GuestTables.SupervisorRoot, First));
            c.mov(rdi, PageOf(Second) | Present | Writable);
            c.lea(rbp, __[done]);
            c.mov(eax, (uint)First);
            c.jmp(rax);
            c.Label(ref helper);
            c.test(rsi, rsi);
            c.je(plain);
            c.mov(__[rsi], rdi);
            c.invlpg(__byte_ptr[First]);
            c.Label(ref plain);
            c.ret();
            c.Label(ref done);
        });
        Assert.Equal((Breakpoint, 1ul, 2ul), (result.Vector, result.Gpr[1], result.Gpr[0]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void A_return_goes_to_what_the_called_code_has_made_of_its_caller(string profile)
    {
        using var guest = new SystemGuest(profile);
        guest.SetEntry(Second, GuestTables.PhysicalOf(CaseLayout.CodeInImage) | Present | Writable | NoExecute);
        var result = guest.Run(c =>
        {
            var loop = c.CreateLabel();
            var function = c.CreateLabel();
            var end = c.CreateLabel();
            c.mov(ecx, 5);
            c.Label(ref loop);
            c.call(function);
            c.add(eax, 0x1000_0000); // 05 imm32: its lowest byte is at offset 5 + 5 + 1
            c.dec(ecx);
            c.jne(loop);
            c.jmp(end);
            c.Label(ref function);
            c.inc(__byte_ptr[Second + 11]);
            c.ret();
            c.Label(ref end);
        });
        Assert.Equal((Breakpoint, 0x5000_000ful), (result.Vector, result.Gpr[0]));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void The_trap_flag_stops_after_every_instruction(string profile)
    {
        using var guest = new SystemGuest(profile);
        guest.CountVector(1);
        var result = guest.Run(c =>
        {
            var loop = c.CreateLabel();
            c.mov(ecx, 10);
            c.Label(ref loop);
            c.add(eax, ecx);
            c.push(rax);
            c.pop(rdx);
            c.dec(ecx);
            c.jne(loop);
        }, state => state.Rflags |= 0x100);
        Assert.Equal((Breakpoint, 55ul, 51ul), (result.Vector, result.Gpr[2], guest.Count));
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Every_interrupt_of_a_loop_is_taken_once_and_nothing_is_lost(string profile)
    {
        const int rounds = 2000;
        using var guest = new SystemGuest(profile);
        var random = new CaseRandom(3);
        var raised = 0ul;
        guest.CountVector(0x40);
        guest.Machine.PortWritten = _ =>
        {
            for (var i = random.Below(3); i > 0; i--, raised++) guest.Machine.Apic.Raise(0x40);
            guest.Machine.Vcpu.InterruptPending();
        };
        var result = guest.Run(c =>
        {
            var loop = c.CreateLabel();
            c.sti();
            c.mov(ecx, rounds);
            c.Label(ref loop);
            c.@out(0x80, al);
            c.add(ebx, ecx);
            c.adc(edx, 0);
            c.mov(__[First], rbx);
            c.mov(rbx, __[First]);
            c.cli();
            c.inc(esi);
            c.sti();
            c.dec(ecx);
            c.jne(loop);
            for (var i = 0; i < 8; i++) c.nop();
            c.cli();
        });
        Assert.Equal((Breakpoint, rounds * (rounds + 1) / 2ul, (ulong)rounds), (result.Vector, result.Gpr[3], result.Gpr[6]));
        Assert.Equal(raised, guest.Count);
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Interrupts_from_another_thread_do_not_disturb_a_loop(string profile)
    {
        var rounds = profile == "single" ? 50_000u : 3_000_000u;
        using var guest = new SystemGuest(profile);
        guest.CountVector(0x41);
        using var stop = new CancellationTokenSource();
        var raised = 0ul;
        var device = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                if (guest.Machine.Apic.HasInterrupt) continue;
                guest.Machine.Apic.Raise(0x41);
                raised++;
                guest.Machine.Vcpu.InterruptPending();
            }
        });
        device.Start();
        var result = guest.Run(c =>
        {
            var loop = c.CreateLabel();
            c.sti();
            c.mov(ecx, rounds);
            c.Label(ref loop);
            c.lea(rax, __[rax + rcx]);
            c.add(rbx, 1);
            c.dec(ecx);
            c.jne(loop);
            c.cli();
        });
        stop.Cancel();
        device.Join();
        Assert.Equal((Breakpoint, (ulong)rounds * (rounds + 1) / 2, (ulong)rounds), (result.Vector, result.Gpr[0], result.Gpr[3]));
        Assert.InRange(raised - guest.Count, 0ul, 1ul);
    }
}
