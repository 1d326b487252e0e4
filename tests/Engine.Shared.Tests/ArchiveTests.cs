// Translations that one machine leaves to the next.
using System.Runtime.InteropServices;
using Lamina.Core.Engine;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Archive;
using Lamina.Engines.Translator.Settings;
using Lamina.Host;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class ArchiveTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-archive-");

    [Fact]
    public void What_one_machine_has_translated_another_one_takes_from_the_archive()
    {
        var first = Run(Sum(GuestMode.LongUser, 1));

        var second = Run(Sum(GuestMode.LongUser, 1));

        Assert.Equal((0, 0), (first.Pages, first.Blocks));
        Assert.Equal(1, second.Pages);
        Assert.True(second.Blocks >= 4, $"{second.Blocks} blocks from the archive");
        Assert.True(second.Translated < first.Translated - 3, $"{second.Translated} blocks translated, {first.Translated} before");
    }

    [Fact]
    public void What_a_machine_keeps_at_its_end_is_kept_once_and_told()
    {
        using var machine = NewMachine();
        var program = Sum(GuestMode.LongUser, 1);
        program.Check(machine, program.Run(machine));
        Assert.Equal(0, machine.Count("archive_added_pages"));

        machine.Machine.Conclude();
        machine.Machine.Conclude();

        Assert.Equal(1, machine.Count("archive_added_pages"));
        _ = Assert.Single(Segments());
    }

    [Fact]
    public void Another_machine_may_have_the_page_elsewhere()
    {
        const uint distance = 0x10_0000;
        _ = Run(Sum(GuestMode.LongUser, 1));
        using var machine = NewMachine();
        var program = Sum(GuestMode.LongUser, 1);
        var state = program.Load(machine);
        var page = new byte[4096];
        Assert.True(machine.Memory.TryRead(Layout.Code, page));
        machine.Load(Layout.Code + distance, page);
        state.Rip += distance;

        program.Check(machine, machine.Run(state));

        Assert.Equal(1, machine.Count("archive_adopted_pages"));
    }

    [Fact]
    public void A_page_of_which_one_byte_differs_is_translated()
    {
        _ = Run(Sum(GuestMode.LongUser, 1));

        var second = Run(Sum(GuestMode.LongUser, 2));

        Assert.Equal(0, second.Pages);
    }

    // A guest can make such a page on purpose.
    [Fact]
    public void A_page_that_only_has_the_same_hash_is_translated()
    {
        _ = Run(Sum(GuestMode.LongUser, 1));
        using var machine = NewMachine();
        var (kept, program) = (Page(Sum(GuestMode.LongUser, 1)), Sum(GuestMode.LongUser, 2));
        var forged = Page(program);
        foreach (var spare in (int[])[510, 511]) forged[spare] = kept[spare] ^ StateBefore(kept, spare) ^ StateBefore(forged, spare);
        Assert.Equal(PageHash.Of(MemoryMarshal.AsBytes(kept.AsSpan())), PageHash.Of(MemoryMarshal.AsBytes(forged.AsSpan())));
        var state = program.Load(machine);
        machine.Load(Layout.Code, MemoryMarshal.AsBytes(forged.AsSpan()));

        program.Check(machine, machine.Run(state));

        Assert.Equal(0, machine.Count("archive_adopted_pages"));

        // Of that half of the hash which takes in a word of the page, by XOR.
        static ulong StateBefore(ulong[] page, int word)
        {
            var (factor, turn) = word % 2 == 0 ? (0x9e37_79b9_7f4a_7c15, 29) : (0xc2b2_ae3d_27d4_eb4f, 31);
            var state = factor;
            for (var i = word % 2; i < word; i += 2) state = ulong.RotateLeft((state ^ page[i]) * factor, turn);
            return state;
        }
    }

    [Fact]
    public void What_a_supervisor_runs_is_not_kept()
    {
        _ = Run(Sum(GuestMode.Long, 1));

        Assert.Equal(0, Run(Sum(GuestMode.Long, 1)).Pages);
        Assert.Empty(Segments());
    }

    [Fact]
    public void Little_that_is_new_is_not_kept()
    {
        _ = Run(Sum(GuestMode.LongUser, 1), worthwhile: 1 << 20);

        Assert.Empty(Segments());
    }

    [Fact]
    public void What_is_known_already_is_not_kept_twice()
    {
        _ = Run(Sum(GuestMode.LongUser, 1));
        _ = Run(Sum(GuestMode.LongUser, 1));

        Assert.Single(Segments());
    }

    // As when a device has written to the page but the blocks are not yet stale: the archive would say that the new bytes mean
    // what the old ones did.
    [Fact]
    public void Bytes_that_have_changed_unnoticed_are_not_taken_for_those_that_were_translated()
    {
        using (var machine = NewMachine())
        {
            var program = Sum(GuestMode.LongUser, 1);
            program.Check(machine, program.Run(machine));
            using var other = new SmallMachine(new TranslatorEngine());
            _ = Sum(GuestMode.LongUser, 2).Load(other);
            var page = new byte[4096];
            Assert.True(other.Memory.TryRead(Layout.Code, page));
            Marshal.Copy(page, 0, machine.Memory.HostBase + (nint)Layout.Code, page.Length);
        }

        _ = Run(Sum(GuestMode.LongUser, 2));
    }

    [Fact]
    public void Code_that_was_changed_is_kept_as_it_was_at_last()
    {
        using (var machine = NewMachine())
        {
            for (var step = 1; step <= 2; step++)
            {
                var program = Sum(GuestMode.LongUser, step);
                program.Check(machine, program.Run(machine));
            }
        }

        Assert.Equal(0, Run(Sum(GuestMode.LongUser, 1)).Pages);
        Assert.Equal(1, Run(Sum(GuestMode.LongUser, 2)).Pages);
    }

    [Fact]
    public void Code_in_which_a_debugger_stops_is_not_kept()
    {
        using (var machine = NewMachine())
        {
            var program = Sum(GuestMode.LongUser, 1);
            machine.Vcpu.SetDebug(new HashSet<ulong> { Layout.Code + 0x800 }, [], singleStep: false);
            program.Check(machine, program.Run(machine));
        }

        Assert.Empty(Segments());
    }

    [Fact]
    public void A_damaged_archive_costs_a_translation_and_nothing_else()
    {
        _ = Run(Sum(GuestMode.LongUser, 1));
        var path = Assert.Single(Segments());
        var bytes = File.ReadAllBytes(path);
        for (var at = 7; at < bytes.Length; at += bytes.Length / 40)
        {
            var damaged = bytes.ToArray();
            damaged[at] ^= 0x10;
            File.WriteAllBytes(path, damaged);

            _ = Run(Sum(GuestMode.LongUser, 1));

            foreach (var segment in Segments()) File.Delete(segment);
        }
    }

    [Fact]
    public void A_folder_that_others_may_write_to_is_refused()
    {
        File.SetUnixFileMode(_folder.FullName, (UnixFileMode)0b111_111_000);

        var refused = Assert.Throws<HostException>(NewMachine);

        Assert.Contains("others may write to it", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_came_from_the_archive_grows_stale_with_its_bytes()
    {
        _ = Run(Sum(GuestMode.LongUser, 1));
        using var machine = NewMachine();

        for (var step = 1; step <= 3; step++)
        {
            var program = Sum(GuestMode.LongUser, step);
            program.Check(machine, program.Run(machine));
        }

        Assert.Equal(1, machine.Count("archive_adopted_pages"));
    }

    // A page that has become what the archive knows again, while some of its blocks are there: both kinds grow stale with its bytes.
    [Fact]
    public void Blocks_that_came_beside_others_grow_stale_like_them()
    {
        const int second = 0x400;
        _ = Run(Sum(GuestMode.LongUser, 1), also: (second, 3));
        using var machine = NewMachine();
        var program = Sum(GuestMode.LongUser, 1);
        var state = program.Load(machine);
        RunSecond(4);
        program.Check(machine, machine.Run(state));
        Assert.Equal(0, machine.Count("archive_adopted_pages"));

        RunSecond(3);

        Assert.Equal(1, machine.Count("archive_adopted_pages"));
        program.Check(machine, machine.Run(state));
        RunSecond(5);
        RunSecond(6);

        void RunSecond(byte value)
        {
            LoadSecond(machine, second, value);
            state.Rip = Layout.Code + second;
            Assert.Equal(value, machine.Run(state).Gpr[GprIndex.Rbx]);
            state.Rip = Layout.Code;
        }
    }

    // Jumps to other pages get their links anew: the conditional one's lies in the cold part.
    [Fact]
    public void Jumps_to_other_pages_are_linked_again()
    {
        var program = new GuestProgram(GuestMode.LongUser, c =>
        {
            var (again, far, end) = (c.CreateLabel(), c.CreateLabel(), c.CreateLabel());
            c.xor(eax, eax);
            c.mov(ecx, 5000);
            c.Label(ref again);
            c.inc(eax);
            c.dec(ecx);
            c.jnz(far);
            c.jmp(end);
            for (var i = 0; i < 4096; i++) c.int3();
            c.Label(ref far);
            c.inc(eax);
            c.test(eax, eax);
            c.jnz(again);
            c.ud2();
            c.Label(ref end);
        }, (_, state) => Assert.Equal(9999ul, state.Gpr[GprIndex.Rax]));
        _ = Run(program);

        using var machine = NewMachine();
        program.Check(machine, program.Run(machine));

        Assert.Equal(2, machine.Count("archive_adopted_pages"));
        Assert.True(machine.Count("vcpu_exits", "farlink") >= 2);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    // A loop with a call, so that there are jumps and returns between blocks, and accesses to memory with their cold parts.
    private static GuestProgram Sum(GuestMode mode, int step) => new(mode, c =>
    {
        var (again, add, end) = (c.CreateLabel(), c.CreateLabel(), c.CreateLabel());
        c.mov(rsp, Layout.UserStack);
        c.mov(rbx, Layout.Data);
        c.mov(__qword_ptr[rbx], 0);
        c.mov(ecx, 1000);
        c.Label(ref again);
        c.call(add);
        c.dec(ecx);
        c.jnz(again);
        c.mov(rax, __qword_ptr[rbx]);
        c.jmp(end);
        c.Label(ref add);
        c.add(__qword_ptr[rbx], step);
        c.ret();
        c.Label(ref end);
    }, (_, state) => Assert.Equal(1000ul * (ulong)step, state.Gpr[GprIndex.Rax]));

    // The page of a program's code.
    private ulong[] Page(GuestProgram program)
    {
        using var machine = new SmallMachine(new TranslatorEngine());
        _ = program.Load(machine);
        var page = new ulong[512];
        Assert.True(machine.Memory.TryRead(Layout.Code, MemoryMarshal.AsBytes(page.AsSpan())));
        return page;
    }

    // Another program in the page of the first: it gives a value in RBX.
    private static void LoadSecond(SmallMachine machine, int offset, byte value) => machine.Load(Layout.Code + (ulong)offset, Modes.Assemble(64, Layout.Code + (ulong)offset, c =>
    {
        var end = c.CreateLabel();
        c.mov(ebx, value);
        c.mov(__byte_ptr[Layout.EndDevice], al);
        c.Label(ref end);
        c.jmp(end);
    }));

    private (long Pages, long Blocks, long Translated) Run(GuestProgram program, int worthwhile = 0, (int Offset, byte Value)? also = null)
    {
        using var machine = NewMachine(worthwhile);
        if (also is { } second)
        {
            LoadSecond(machine, second.Offset, second.Value);
            var state = program.Load(machine);
            state.Rip += (ulong)second.Offset;
            Assert.Equal(second.Value, machine.Run(state).Gpr[GprIndex.Rbx]);
        }
        program.Check(machine, program.Run(machine));
        return (machine.Count("archive_adopted_pages"), machine.Count("archive_adopted_blocks"), machine.Count("translator_blocks"));
    }


    private SmallMachine NewMachine() => NewMachine(worthwhile: 0);

    private SmallMachine NewMachine(int worthwhile) => new(new TranslatorEngine(new TranslatorSettings
    {
        CodeBufferBytes = TranslatorSettings.LeastCodeBufferBytes,
        ArchiveFolder = _folder.FullName,
        ArchiveWorthwhileBytes = worthwhile,
    }));

    private string[] Segments() => Directory.GetFiles(_folder.FullName, "*.translations");
}
