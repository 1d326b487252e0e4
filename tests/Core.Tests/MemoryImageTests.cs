// A guest's memory as an image of one moment, which other memories are made of.
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class MemoryImageTests : IDisposable
{
    // Two ranges, of which the first ends within a piece of an image.
    private const ulong Page = 4096, First = (4 << 20) + 3 * Page, Second = 16 << 20, Rest = 8 << 20;

    private readonly List<IDisposable> _made = [];

    public void Dispose()
    {
        for (var i = _made.Count - 1; i >= 0; i--) _made[i].Dispose();
    }

    private GuestMemory Make()
    {
        var memory = new GuestMemory([new MemoryRange(0, First), new MemoryRange(Second, Rest)]);
        _made.Add(memory);
        return memory;
    }

    private MemoryImage Cut(GuestMemory memory)
    {
        memory.PrepareImage();
        var rest = SharedMemory.Create("test", 64 << 20);
        _made.Add(rest);
        var (image, _) = memory.CutImage(rest, Page);
        rest.Seal();
        return image;
    }

    // As another process gets it.
    private static MemoryImage Received(MemoryImage image) => MemoryImage.Decode(image.Encode(), [.. image.Layers.Select(Again)], Again(image.Rest));

    private static SharedMemory Again(SharedMemory memory) => SharedMemory.TakeSealed(File.OpenHandle($"/proc/self/fd/{memory.Handle.DangerousGetHandle()}"));

    private GuestMemory Copy(MemoryImage image)
    {
        var memory = Make();
        memory.TakeUp(Received(image));
        return memory;
    }

    private static byte At(GuestMemory memory, ulong address)
    {
        Assert.True(memory.TryRead(address, out byte value));
        return value;
    }

    private static void Fill(GuestMemory memory, ulong start, ulong length, byte first)
    {
        for (ulong at = 0; at < length; at += Page) Assert.True(memory.TryWrite(start + at, (byte)(first + at / Page)));
    }

    [Fact]
    public void Copies_have_what_there_was_and_nobody_sees_what_another_writes()
    {
        var memory = Make();
        Assert.True(memory.TryWrite(Page, (byte)1));
        Assert.True(memory.TryWrite(First - 1, (byte)2));
        Assert.True(memory.TryWrite(Second, (byte)3));

        var image = Cut(memory);
        Assert.True(memory.TryWrite(Page, (byte)9));
        Assert.True(memory.TryWrite(20 * Page, (byte)9));
        var (one, other) = (Copy(image), Copy(image));
        Assert.True(one.TryWrite(Second, (byte)8));

        Assert.Equal([1, 2, 3, 0], [At(other, Page), At(other, First - 1), At(other, Second), At(other, 20 * Page)]);
        Assert.Equal([1, 2, 8], [At(one, Page), At(one, First - 1), At(one, Second)]);
        Assert.Equal([9, 3], [At(memory, Page), At(memory, Second)]);
    }

    [Fact]
    public void What_was_written_since_the_last_image_is_in_the_next_one_as_few_pages_or_as_a_layer()
    {
        var memory = Make();
        Fill(memory, Second, 4 << 20, 1);
        var first = Cut(memory);
        Fill(memory, Second, 3 * Page, 100);
        var few = Cut(memory);
        Fill(memory, Second, 4 << 20, 50);
        var many = Cut(memory);

        Assert.Equal((1, 0), (first.Layers.Count, first.RestPages));
        Assert.Equal((1, 3), (few.Layers.Count, few.RestPages));
        Assert.Equal((2, 0), (many.Layers.Count, many.RestPages));
        Assert.Equal([1, 100, 50], [At(Copy(first), Second), At(Copy(few), Second), At(Copy(many), Second)]);
        Assert.Equal([4, 4, 53], [At(Copy(first), Second + 3 * Page), At(Copy(few), Second + 3 * Page), At(Copy(many), Second + 3 * Page)]);
    }

    [Fact]
    public void Layers_do_not_become_more_without_end()
    {
        var memory = Make();
        MemoryImage? image = null;
        for (byte round = 0; round < 2 * MemoryImage.MostLayers + 3; round++)
        {
            Fill(memory, Second, 4 << 20, round);
            image = Cut(memory);
        }

        Assert.InRange(image!.Layers.Count, 1, MemoryImage.MostLayers);
        var copy = Copy(image);
        for (ulong page = 0; page < 1024; page++) Assert.Equal((byte)(2 * MemoryImage.MostLayers + 2 + page), At(copy, Second + page * Page));
    }

    [Fact]
    public void Copies_of_copies_have_what_these_wrote_and_what_they_gave_back_is_gone()
    {
        var memory = Make();
        Fill(memory, Second, 8 << 20, 1);
        var child = Copy(Cut(memory));
        Assert.True(child.TryWrite(Page, (byte)7));
        Assert.True(child.TryWrite(Second + Page, (byte)8));
        // A large piece, which is mapped anew, and a small one, in place.
        Assert.True(child.TryDiscard(Second + 5 * Page, 4 << 20));
        Assert.True(child.TryDiscard(Second + (6 << 20), Page));

        var grandchild = Copy(Cut(child));

        foreach (var one in (GuestMemory[])[child, grandchild])
        {
            Assert.Equal([7, 1, 8, 3], [At(one, Page), At(one, Second), At(one, Second + Page), At(one, Second + 2 * Page)]);
            for (var page = 5ul; page < 5 + 1024; page++) Assert.Equal(0, At(one, Second + page * Page));
            Assert.Equal([0, unchecked((byte)(2 + 1536))], [At(one, Second + (6 << 20)), At(one, Second + (6 << 20) + Page)]);
        }
        Assert.Equal(6, At(memory, Second + 5 * Page));
    }

    [Fact]
    public void What_a_file_holds_of_which_the_memory_is_a_copy_is_in_it()
    {
        var path = Path.GetTempFileName();
        try
        {
            using (var file = File.OpenWrite(path))
            {
                file.SetLength((long)(First + Rest));
                file.Position = 2 << 20;
                file.WriteByte(5);
            }
            using var held = SharedMemory.Open(path);
            var memory = new GuestMemory([new MemoryRange(0, First), new MemoryRange(Second, Rest)], MemoryBacking.PrivateCopy(held));
            _made.Add(memory);
            Assert.True(memory.TryWrite(3 << 20, (byte)6));

            var copy = Copy(Cut(memory));

            Assert.Equal([5, 6, 0], [At(copy, 2 << 20), At(copy, 3 << 20), At(copy, Second)]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_memory_that_has_run_returns_to_an_image_and_to_a_later_one()
    {
        var memory = Make();
        Fill(memory, Second, 4 << 20, 1);
        var first = Cut(memory);
        var copy = Copy(first);
        Assert.True(copy.TryWrite(Second, (byte)99));
        Assert.True(copy.TryWrite(Second + Page, (byte)99));
        Assert.True(copy.TryWrite(Page, (byte)99));
        // Of the first two the memory is kept, of the other not.
        var kept = copy.OwnPages();
        Assert.True(copy.TryWrite(Second + 9 * Page, (byte)99));
        Assert.True(copy.TryDiscard(Second + (2 << 20), 2 << 20));

        copy.ReturnTo(Received(first), kept, isClean: false);
        for (ulong page = 0; page < 1024; page++) Assert.Equal((byte)(1 + page), At(copy, Second + page * Page));
        Assert.Equal(0, At(copy, Page));

        Fill(memory, Second, 2 * Page, 70);
        copy.ReturnTo(Received(Cut(memory)), kept, isClean: true);
        Assert.Equal([70, 71, 3], [At(copy, Second), At(copy, Second + Page), At(copy, Second + 2 * Page)]);

        Fill(memory, Second, 4 << 20, 40);
        copy.ReturnTo(Received(Cut(memory)), kept, isClean: true);
        for (ulong page = 0; page < 1024; page++) Assert.Equal((byte)(40 + page), At(copy, Second + page * Page));
    }

    [Fact]
    public void A_memory_that_stands_still_comes_to_share_what_its_copies_have()
    {
        var memory = Make();
        Fill(memory, Second, 4 << 20, 1);
        var image = Cut(memory);
        Assert.False(memory.Shares(image));

        memory.TakeUp(image, isSame: true);

        Assert.True(memory.Shares(image));
        Assert.Equal([1, 2], [At(memory, Second), At(memory, Second + Page)]);
        Assert.DoesNotContain(true, memory.OwnPages()!);
        // And the next image has nothing to copy.
        Assert.Equal((1, 0), (Cut(memory).Layers.Count, Cut(memory).RestPages));
    }

    [Fact]
    public void No_memory_is_taken_that_may_not_be_and_the_next_time_all_is_there()
    {
        var memory = Make();
        Fill(memory, Second, 4 << 20, 1);
        ulong asked = 0;

        Assert.Throws<IOException>(() => memory.PrepareImage(bytes =>
        {
            asked = bytes;
            return new IOException("no");
        }));

        Assert.InRange(asked, 4ul << 20, 16ul << 20);
        Assert.Equal(1, At(Copy(Cut(memory)), Second));
    }

    [Fact]
    public void What_another_process_says_of_an_image_is_not_trusted()
    {
        var memory = Make();
        Fill(memory, Second, 4 << 20, 1);
        Cut(memory);
        Assert.True(memory.TryWrite(Second, (byte)2));
        var image = Cut(memory);
        var good = image.Encode();

        // Each number of the head, and the layer of a piece.
        foreach (var (at, value) in ((int, ulong)[])[(0, 0), (0, 1), (0, ulong.MaxValue), (0, (First + Rest) * 2), (8, ulong.MaxValue), (8, 1), (16, ulong.MaxValue), (16, 1ul << 40), (24, 0x0101_0101_0101_0105)])
        {
            var bad = good.ToArray();
            BitConverter.TryWriteBytes(bad.AsSpan(at), value);
            Assert.Throws<HostException>(() => MemoryImage.Decode(bad, image.Layers, image.Rest));
        }
        Assert.Throws<HostException>(() => MemoryImage.Decode(good.AsSpan(0, good.Length - 1), image.Layers, image.Rest));
        Assert.Throws<HostException>(() => MemoryImage.Decode([], image.Layers, image.Rest));
        Assert.Throws<HostException>(() => MemoryImage.Decode(good, [], image.Rest));
        // Pages that there are not.
        using var rest = SharedMemory.Create("test", 1 << 20);
        rest.Write(Page, BitConverter.GetBytes(int.MaxValue));
        Assert.Throws<HostException>(() => Make().TakeUp(MemoryImage.Decode(good, image.Layers, rest)));
    }

    [Fact]
    public void Memory_of_another_process_that_is_not_sealed_is_refused()
    {
        using var open = SharedMemory.Create("test", 4096);
        var path = Path.GetTempFileName();
        try
        {
            foreach (var name in (string[])[$"/proc/self/fd/{open.Handle.DangerousGetHandle()}", path]) Assert.Throws<HostException>(() => SharedMemory.TakeSealed(File.OpenHandle(name)));
            open.Seal();
            using var taken = Again(open);
            Assert.True(taken.IsSameAs(open));
            Assert.False(taken.IsWritable);
            Assert.ThrowsAny<Exception>(() => open.Write(0, [1]));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_channel_carries_messages_and_files_until_an_end_is_gone()
    {
        var (own, other) = DescriptorChannel.Make();
        using var channel = new DescriptorChannel(other);
        using var file = SharedMemory.Create("test", 4096);
        file.Write(0, [1, 2, 3]);

        Assert.Null(channel.Receive(0));
        own.Send("hello"u8, file.Handle, file.Handle);
        own.Send("again"u8);
        using (var first = channel.Receive())
        {
            Assert.Equal("hello"u8, first!.Bytes);
            Assert.Equal(2, first.Files.Count);
            var bytes = new byte[3];
            _ = RandomAccess.Read((SafeFileHandle)first.Files[1], bytes, 0);
            Assert.Equal([1, 2, 3], bytes);
        }
        using (var second = channel.Receive()) Assert.Equal(("again", 0), (System.Text.Encoding.UTF8.GetString(second!.Bytes), second.Files.Count));
        Assert.False(channel.HasSomething);
        own.Dispose();
        Assert.True(channel.HasSomething);
        Assert.Null(channel.Receive());
        Assert.Throws<HostException>(() => channel.Send("x"u8));
    }

    [Fact]
    public void A_message_that_is_longer_than_any_is_refused_with_its_files()
    {
        var (own, other) = DescriptorChannel.Make();
        using (own)
        using (var channel = new DescriptorChannel(other))
        {
            own.Send(new byte[DescriptorChannel.LongestMessage + 1]);
            Assert.Throws<HostException>(() => channel.Receive());
            own.Send(new byte[DescriptorChannel.LongestMessage]);
            using var longest = channel.Receive();
            Assert.Equal(DescriptorChannel.LongestMessage, longest!.Bytes.Length);
        }
    }

    [Fact]
    public void What_a_guest_touched_first_is_fetched_the_next_time()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, new byte[First + Rest]);
            using var file = SharedMemory.Open(path);
            GuestMemory Goes()
            {
                var memory = new GuestMemory([new MemoryRange(0, First), new MemoryRange(Second, Rest)], MemoryBacking.PrivateCopy(file));
                _made.Add(memory);
                return memory;
            }
            var before = Goes();
            Fill(before, 5 * Page, 3 * Page, 1);
            Fill(before, Second + 7 * Page, Page, 1);
            var set = MemoryWorkingSet.Of(before);

            var after = Goes();
            MemoryWorkingSet.Fetch(after, set);

            var own = after.OwnPages()!;
            Assert.Equal([5, 6, 7, (int)(First / Page) + 7], Enumerable.Range(0, own.Length).Where(page => own[page]));
            Assert.Equal(0, At(after, 5 * Page));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Of_what_a_guest_touches_first_so_much_is_written_down_and_no_more_of_it_is_read()
    {
        const int run = 8;
        var path = Path.GetTempFileName();
        try
        {
            // Of a file, whose pages no host puts together to large ones.
            File.WriteAllBytes(path, new byte[First]);
            using var file = SharedMemory.Open(path);
            GuestMemory Goes()
            {
                var memory = new GuestMemory([new MemoryRange(0, First)], MemoryBacking.PrivateCopy(file));
                _made.Add(memory);
                return memory;
            }
            var before = Goes();
            for (ulong page = 0; page < 20; page += 2) Assert.True(before.TryWrite(page * Page, (byte)1));
            var whole = MemoryWorkingSet.Of(before);
            Assert.Equal(10 * run, whole.Length);

            foreach (var (most, runs) in new[] { (10 * run, 10), (10 * run - 1, 9), (3 * run, 3), (run - 1, 0) })
                Assert.Equal(whole[..(runs * run)], MemoryWorkingSet.Of(before, most));

            // Runs without pages, then one that ends where it may and one that ends behind that.
            var set = new byte[MemoryWorkingSet.MostBytes + run];
            new byte[] { 5, 0, 0, 0, 1, 0, 0, 0x80 }.CopyTo(set, MemoryWorkingSet.MostBytes - run);
            new byte[] { 9, 0, 0, 0, 1, 0, 0, 0x80 }.CopyTo(set, MemoryWorkingSet.MostBytes);
            var after = Goes();
            MemoryWorkingSet.Fetch(after, set);
            var own = after.OwnPages()!;
            Assert.Equal([5], Enumerable.Range(0, own.Length).Where(page => own[page]));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Wrong_hints_of_what_is_touched_first_do_nothing_that_the_guest_could_notice()
    {
        var memory = Make();
        Assert.True(memory.TryWrite(Second, (byte)1));
        var set = new byte[4096 + 3];
        for (var seed = 0; seed < 20; seed++)
        {
            new Random(seed).NextBytes(set);
            // Not all of them far beyond the end.
            for (var at = 2; at < set.Length; at += 4) set[at] = set[Math.Min(at + 1, set.Length - 1)] = 0;
            MemoryWorkingSet.Fetch(memory, set);
        }
        MemoryWorkingSet.Fetch(memory, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        MemoryWorkingSet.Fetch(memory, [1, 2, 3]);

        Assert.Equal([1, 0], [At(memory, Second), At(memory, Second + Page)]);
    }
}
