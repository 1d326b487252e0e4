// The file of firmware's variables: made where there is none, taken where it is the firmware's, refused in a sentence that says what to do where not.
using Lamina.Backends.Work;
using Lamina.Devices.Firmware;
using Lamina.Firmware;
using Lamina.Host;
using Lamina.Host.Processes;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Firmware;

public sealed class VariablesFileTests : IDisposable
{
    private readonly KernelFolder _folder = new();
    private readonly byte[] _first = new byte[4 * FlashChip.Block];

    public VariablesFileTests()
    {
        new Random(5).NextBytes(_first);
        "_FVH"u8.CopyTo(_first.AsSpan(40));
        (_first[48], _first[49]) = (72, 0);
    }

    public void Dispose() => _folder.Dispose();

    private string Place => _folder.In("uefi-variables.fd");

    private VariablesFile Open() => VariablesFile.Open(Place, _first, new WorkerThreads(), null);

    [Fact]
    public void One_is_made_whole_and_what_is_written_is_there_before_anybody_closes_it()
    {
        using var file = Open();
        Assert.Equal(_first, file.Content);
        Assert.Equal(_first, File.ReadAllBytes(Place));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Place));

        Assert.True(file.TryWrite(5000, [1, 2, 3]));
        file.Settle();

        Assert.Equal([.. _first[..5000], 1, 2, 3, .. _first[5003..]], File.ReadAllBytes(Place));
        Assert.Equal([Place], Directory.GetFiles(Path.GetDirectoryName(Place)!, "uefi*"));
    }

    [Fact]
    public void The_next_one_finds_what_was_written()
    {
        using (var file = Open()) file.TryWrite(100, [9]);

        using var next = Open();

        Assert.Equal([.. _first[..100], 9, .. _first[101..]], next.Content);
    }

    [Fact]
    public void A_file_of_another_length_is_refused_and_stays_as_it_is()
    {
        foreach (var length in (int[])[0, 1, _first.Length - 1, _first.Length + FlashChip.Block, 1 << 20])
        {
            File.WriteAllBytes(Place, new byte[length]);
            Refused($"has {length} bytes, and this firmware's flash chip has {_first.Length}");
            Assert.Equal(length, new FileInfo(Place).Length);
        }
    }

    [Fact]
    public void Garbage_is_refused_and_a_header_that_is_half_written_is_not()
    {
        var bytes = new byte[_first.Length];
        new Random(7).NextBytes(bytes);
        File.WriteAllBytes(Place, bytes);
        Refused("does not begin as this firmware's do");
        File.WriteAllBytes(Place, new byte[_first.Length]);
        Refused("does not begin as this firmware's do");

        // As a block is that firmware had erased, and had begun to write anew.
        Array.Fill(bytes, (byte)0xff);
        _first.AsSpan(0, 30).CopyTo(bytes);
        File.WriteAllBytes(Place, bytes);
        using var file = Open();
        Assert.Equal(bytes, file.Content);
    }

    [Fact]
    public void Firmware_of_which_no_header_is_known_takes_any_content()
    {
        Array.Clear(_first);
        var bytes = new byte[_first.Length];
        new Random(8).NextBytes(bytes);
        File.WriteAllBytes(Place, bytes);
        using var file = Open();
        Assert.Equal(bytes, file.Content);
    }

    [Fact]
    public void What_is_no_file_of_its_own_is_refused()
    {
        Directory.CreateDirectory(Place);
        Refused("it is a folder", "a folder, and no file");
        Directory.Delete(Place);
        File.WriteAllBytes(_folder.In("other"), _first);
        File.CreateSymbolicLink(Place, _folder.In("other"));
        Refused("a link, and no file");
        File.Delete(Place);
        if (HostProcess.IsRoot) return;
        File.WriteAllBytes(Place, _first);
        File.SetUnixFileMode(Place, UnixFileMode.UserRead);
        Refused("permission denied", "may not be written");
    }

    [Fact]
    public void A_folder_that_is_not_there_is_said()
    {
        var wrong = Assert.Throws<MachineException>(() => VariablesFile.Open(_folder.In("none/uefi-variables.fd"), _first, new WorkerThreads(), null));
        Assert.Contains("its folder does not exist", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_machines_do_not_keep_theirs_in_one_file()
    {
        using (Open()) Refused("is in use");
        Open().Dispose();
    }

    private void Refused(params string[] sentences)
    {
        var wrong = Assert.Throws<MachineException>(Open);
        Assert.Contains(sentences, sentence => wrong.Message.Contains(sentence, StringComparison.Ordinal));
        Assert.StartsWith(Place, wrong.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', wrong.Message);
    }
}
