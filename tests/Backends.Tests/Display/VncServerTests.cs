// The VNC server with a viewer of its own kind, and with those that are none.
using System.Net;
using System.Net.Sockets;
using System.Text;
using Lamina.Backends.Display;
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Display;

public sealed class VncServerTests : IDisposable
{
    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly TestScreen _screen = new(200, 100);
    private readonly RecordingInput _input = new();
    private VncServer? _server;

    public VncServerTests() => _patience.CancelAfter(TimeSpan.FromMinutes(2));

    private CancellationToken Token => _patience.Token;

    public void Dispose()
    {
        _server?.Dispose();
        _patience.Dispose();
    }

    private string Serve(string? password = null, EndPoint? address = null, TimeSpan? patience = null)
    {
        _server = new VncServer(_screen, new VncOptions
        {
            Name = "Lamina: web",
            Address = address ?? new IPEndPoint(IPAddress.Loopback, 0),
            Password = password is null ? (ReadOnlyMemory<byte>?)null : Encoding.ASCII.GetBytes(password),
            Keyboard = _input,
            Pointer = _input,
            Patience = patience ?? TimeSpan.FromMinutes(1),
        });
        return _server.Address;
    }

    private async Task<TestViewer> ViewAsync(params int[] encodings)
    {
        var viewer = await TestViewer.ConnectAsync(_server?.Address ?? Serve(), Token);
        await viewer.GreetAsync(Token);
        if (encodings.Length > 0) await viewer.SetEncodingsAsync(Token, encodings);
        return viewer;
    }

    private async Task UpdateAsync(TestViewer viewer, bool incremental = true)
    {
        await viewer.RequestAsync(incremental, Token);
        while ((await viewer.ReadMessageAsync(Token))[0] != 0)
        {
        }
    }

    private static ScreenPicture Picture(int width, int height, int seed, int colours)
    {
        var random = new Random(seed);
        var palette = Enumerable.Range(0, Math.Min(colours, 4096)).Select(_ => (uint)random.Next(0x100_0000)).ToArray();
        return new ScreenPicture(width, height, [.. Enumerable.Range(0, width * height).Select(_ => colours > palette.Length ? (uint)random.Next(0x100_0000) : palette[random.Next(palette.Length)])]);
    }

    [Fact]
    public async Task DES_is_DES_and_passwords_are_turned_round()
    {
        // FIPS 81's example, and a known answer with the key 0.
        Assert.Equal(0x3fa4_0e8a_984d_4815ul, VncPassword.Encrypt(0x0123_4567_89ab_cdef, 0x4e6f_7720_6973_2074));
        Assert.Equal(0x8ca6_4de9_c1b1_23a7ul, VncPassword.Encrypt(0, 0));
        Assert.Equal(0x85e8_1354_0f0a_b405ul, VncPassword.Encrypt(0x1334_5779_9bbc_dff1, 0x0123_4567_89ab_cdef));
        // Bits of 'a' (61h) in reverse are 86h; what is behind eight characters does not count.
        Assert.Equal(VncPassword.Answer("abcdefgh"u8, new byte[16]), VncPassword.Answer("abcdefghij"u8, new byte[16]));
        Assert.Equal(VncPassword.Encrypt(0x8600_0000_0000_0000, 0), System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(VncPassword.Answer("a"u8, new byte[16])));
        await Task.CompletedTask;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(7)]
    public async Task What_is_shown_is_what_the_viewer_has_in_each_encoding(int encoding)
    {
        await using var viewer = await ViewAsync(encoding);
        Assert.Equal("Lamina: web", viewer.Name);
        foreach (var colours in (int[])[1, 2, 3, 4, 5, 16, 17, 256, 300, int.MaxValue])
        {
            var picture = Picture(200, 100, colours, colours);
            _screen.Show(picture);
            await UpdateAsync(viewer, incremental: colours != 1);
            Assert.Equal(picture.Pixels, viewer.Picture.Pixels);
            Assert.All(viewer.Encodings, used => Assert.Equal(encoding, used));
        }
    }

    [Fact]
    public async Task Only_what_changed_is_sent()
    {
        await using var viewer = await ViewAsync(16);
        var picture = Picture(200, 100, 1, 16);
        _screen.Show(picture);
        await UpdateAsync(viewer, incremental: false);
        Assert.Equal(200 * 100, viewer.Pixels);
        picture = picture with { Pixels = [.. picture.Pixels] };
        // Two squares of one row, one below the second, and one at the edge that is smaller.
        foreach (var (x, y) in ((int, int)[])[(3, 3), (70, 5), (70, 20), (199, 99)]) picture.Pixels[(y * 200) + x] ^= 0xff;
        _screen.Show(picture);
        await UpdateAsync(viewer);
        Assert.Equal(picture.Pixels, viewer.Picture.Pixels);
        Assert.Equal((3 * 16 * 16) + (8 * 4), viewer.Pixels);
        Assert.Equal(3, viewer.Encodings.Count);
    }

    [Theory]
    [InlineData(-16)]
    [InlineData(16)]
    [InlineData(-33)]
    public async Task Text_that_scrolls_is_copied_for_viewers_that_can(int by)
    {
        _screen.Show(Picture(200, 100, 1, 300));
        await using var knows = await ViewAsync(16, 1);
        await using var others = await ViewAsync(16);
        foreach (var viewer in (TestViewer[])[knows, others]) await UpdateAsync(viewer, incremental: false);
        // A window of it scrolls, beside and above what stays.
        var (before, now) = (Picture(200, 100, 1, 300), Picture(200, 100, 1, 300));
        var fresh = Picture(200, 100, 2, 300);
        for (var y = 10; y < 90; y++)
            for (var x = 21; x < 180; x++)
                now.Pixels[(y * 200) + x] = y - by is >= 10 and < 90 ? before.Pixels[((y - by) * 200) + x] : fresh.Pixels[(y * 200) + x];
        _screen.Show(now);
        foreach (var viewer in (TestViewer[])[knows, others])
        {
            await UpdateAsync(viewer);
            Assert.Equal(now.Pixels, viewer.Picture.Pixels);
        }
        Assert.Equal((80 - Math.Abs(by)) * 159, knows.Copied);
        Assert.Equal(1, knows.Encodings[0]);
        Assert.InRange(knows.Pixels, 1, others.Pixels / 2);
        Assert.Equal(0, others.Copied);
        // What has other lines, and what changes in a few squares, is as it was.
        now = Picture(200, 100, 7, 300);
        _screen.Show(now);
        await UpdateAsync(knows);
        Assert.Equal((0, 20_000), (knows.Copied, knows.Pixels));
        Assert.Equal(now.Pixels, knows.Picture.Pixels);
    }

    [Fact]
    public void Whatever_changes_what_was_copied_and_what_differs_then_is_the_picture()
    {
        var random = new Random(4);
        for (var round = 0; round < 300; round++)
        {
            // Few colours and sizes of every kind: lines are alike, and places overlap.
            var (width, height) = (random.Next(1, 100), random.Next(1, 100));
            var before = Picture(width, height, round, random.Next(1, 3));
            var now = before with { Pixels = [.. before.Pixels] };
            var (from, to) = (random.Next(height), random.Next(height));
            for (var y = 0; y < height - Math.Max(from, to); y++) before.Pixels.AsSpan((from + y) * width, width).CopyTo(now.Pixels.AsSpan((to + y) * width));
            for (var i = 0; i < random.Next(4); i++) now.Pixels[random.Next(now.Pixels.Length)] ^= 1;
            if (ScrollDetector.Find(before, now, ScreenDifference.Between(before, now)) is not var (part, fromY)) continue;
            Assert.InRange(fromY, 0, height - part.Height);
            Assert.InRange(part.Y, 0, height - part.Height);
            ScrollDetector.Apply(before, part, fromY);
            for (var y = part.Y; y < part.Y + part.Height; y++) Assert.Equal(now.Pixels[((y * width) + part.X)..((y * width) + part.X + part.Width)], before.Pixels[((y * width) + part.X)..((y * width) + part.X + part.Width)]);
        }
    }

    [Fact]
    public async Task What_has_many_colours_is_JPEG_of_the_quality_that_is_asked_for()
    {
        // A photograph's gradients; a drawing; a strip that is too small.
        var picture = new ScreenPicture(203, 101, [.. Enumerable.Range(0, 203 * 101).Select(i => (uint)((i % 203) << 16 | (i / 203 * 2) << 8 | (255 - (i % 203))))]);
        _screen.Show(picture);
        var errors = new List<double>();
        foreach (var level in (int[])[-32, -26, -25, -23])
        {
            await using var viewer = await ViewAsync(7, -223, level);
            await UpdateAsync(viewer, incremental: false);
            Assert.Equal(1, viewer.Jpegs);
            errors.Add(picture.Pixels.Zip(viewer.Picture.Pixels).Average(pair => Enumerable.Range(0, 3).Average(n => Math.Abs((int)(pair.First >> (8 * n) & 0xff) - (int)(pair.Second >> (8 * n) & 0xff)))));
        }
        Assert.Equal(errors.OrderDescending(), errors);
        Assert.InRange(errors[0], 1, 12);
        Assert.InRange(errors[^1], 0, 1.5);

        // Nobody who has not asked gets what is not quite it; nor one whose pixels have 8 bits.
        await using var exact = await ViewAsync(7, -223, -33, -22);
        await UpdateAsync(exact, incremental: false);
        Assert.Equal((0, 203 * 101), (exact.Jpegs, exact.Pixels));
        Assert.Equal(picture.Pixels, exact.Picture.Pixels);
        await using var drawn = await ViewAsync(7, -223, -23);
        _screen.Show(Picture(203, 101, 3, 200));
        await UpdateAsync(drawn, incremental: false);
        Assert.Equal(Picture(203, 101, 3, 200).Pixels, drawn.Picture.Pixels);
        Assert.Equal(0, drawn.Jpegs);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(7, -23)]
    public async Task The_largest_picture_that_cannot_be_packed_arrives(params int[] encodings)
    {
        var picture = Picture(2560, 2048, 1, int.MaxValue);
        _screen.Show(picture);
        await using var viewer = await ViewAsync([.. encodings, -223]);
        await UpdateAsync(viewer, incremental: false);
        Assert.Equal(picture.Pixels.Length, viewer.Pixels);
        if (encodings.Length == 1) Assert.Equal(picture.Pixels, viewer.Picture.Pixels);
        else Assert.Equal(viewer.Encodings.Count(encoding => encoding == 7), viewer.Jpegs);
    }

    [Fact]
    public async Task The_name_is_told_again_to_those_who_want_it()
    {
        await using var viewer = await ViewAsync(16, -307);
        await UpdateAsync(viewer, incremental: false);
        Assert.Equal("renamed: Lamina: web", viewer.Name);
    }

    [Fact]
    public async Task A_screen_that_does_not_change_is_not_looked_at_and_nobody_is_told()
    {
        await using var viewer = await ViewAsync(16);
        await UpdateAsync(viewer, incremental: false);
        await viewer.RequestAsync(incremental: true, Token);
        // What is the same is found out, and not sent.
        _screen.Touch();
        while (_screen.Looks < 3) await Task.Delay(1, Token);
        var (looks, answer) = (_screen.Looks, viewer.ReadMessageAsync(Token));
        await viewer.SendAsync([248, 0, 0, 0, 0x80, 0, 0, 1, 2, 7, 8], Token);
        Assert.Equal([248, 0, 0, 0, 0, 0, 0, 1, 2, 7, 8], await answer);
        Assert.InRange(_screen.Looks, looks, looks + 1);
    }

    [Fact]
    public async Task Sizes_are_told_to_those_who_know_them_and_cut_for_others()
    {
        await using var knows = await ViewAsync(16, -308, -223);
        await using var old = await ViewAsync(0);
        await using var older = await ViewAsync(0, -223);
        foreach (var viewer in (TestViewer[])[knows, old, older]) await UpdateAsync(viewer, incremental: false);
        Assert.Contains(-308, knows.Encodings);
        var picture = Picture(320, 40, 5, 5);
        _screen.Show(picture);
        foreach (var viewer in (TestViewer[])[knows, old, older]) await UpdateAsync(viewer);
        Assert.Equal((320, 40), (knows.Picture.Width, knows.Picture.Height));
        Assert.Equal(picture.Pixels, knows.Picture.Pixels);
        Assert.Equal(picture.Pixels, older.Picture.Pixels);
        Assert.Contains(-223, older.Encodings);
        Assert.Equal((200, 100), (old.Picture.Width, old.Picture.Height));
        Assert.Equal(picture.Pixels[(39 * 320)..((39 * 320) + 200)], old.Picture.Pixels[(39 * 200)..(40 * 200)]);
        Assert.All(old.Picture.Pixels[(40 * 200)..], pixel => Assert.Equal(0u, pixel));
        // The guest alone chooses.
        await knows.SendAsync([251, 0, 2, 0, 1, 0, 1, 0, .. new byte[16]], Token);
        await UpdateAsync(knows);
        Assert.Contains(-308_011, knows.Encodings);
    }

    [Fact]
    public async Task Other_forms_of_pixels_are_given()
    {
        await using var viewer = await ViewAsync(0);
        // 16 bits, little endian, 5-6-5.
        await viewer.SendAsync([0, 0, 0, 0, 16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0], Token);
        viewer.Bytes = 2;
        _screen.Show(new ScreenPicture(200, 100, [.. Enumerable.Repeat(0xff_80_08u, 20_000)]));
        await UpdateAsync(viewer, incremental: false);
        Assert.All(viewer.Picture.Pixels, pixel => Assert.Equal(31u << 11 | 32u << 5 | 1, pixel));
    }

    [Fact]
    public async Task Updates_go_on_by_themselves_where_the_viewer_wants_it()
    {
        await using var viewer = await ViewAsync(16, -313, -312);
        Assert.Equal(248, (await viewer.ReadMessageAsync(Token))[0]);
        Assert.Equal(150, (await viewer.ReadMessageAsync(Token))[0]);
        await viewer.SendAsync([150, 1, 0, 0, 0, 0, 0, 200, 0, 100], Token);
        for (var round = 0; round < 3; round++)
        {
            var picture = Picture(200, 100, round, 9);
            _screen.Show(picture);
            while (!viewer.Picture.Pixels.AsSpan().SequenceEqual(picture.Pixels)) Assert.Equal(0, (await viewer.ReadMessageAsync(Token))[0]);
        }
        await viewer.SendAsync([150, 0, 0, 0, 0, 0, 0, 200, 0, 100], Token);
        while ((await viewer.ReadMessageAsync(Token))[0] != 150)
        {
        }
    }

    [Fact]
    public async Task Keys_and_the_pointer_arrive_and_keys_are_let_go_of_when_the_viewer_goes()
    {
        await using (var viewer = await ViewAsync(16, -258, -261))
        {
            _input.Lights = KeyboardLights.CapsLock;
            await UpdateAsync(viewer, incremental: false);
            Assert.Contains(-258, viewer.Encodings);
            Assert.Contains(-261_004, viewer.Encodings);
            // By symbol: A, and F12; by place: the right control key, and one that says its symbol alone; then the pointer, and the wheel.
            await viewer.SendAsync([4, 1, 0, 0, 0, 0, 0, (byte)'A', 4, 0, 0, 0, 0, 0, 0, (byte)'A', 4, 1, 0, 0, 0, 0, 0xff, 0xc9, 4, 1, 0, 0, 0, 0, 0x12, 0x34], Token);
            await viewer.SendAsync([255, 0, 0, 1, 0, 0, 0xff, 0xe4, 0, 0, 0, 0x9d, 255, 0, 0, 0, 0, 0, 0, (byte)'b', 0, 0, 0, 0], Token);
            await viewer.SendAsync([5, 5, 0, 10, 0, 20, 5, 8, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0, 0, 5, 16, 0, 0, 0, 0], Token);
            // A clipboard is passed over.
            await viewer.SendAsync([6, 0, 0, 0, 0, 0, 0x20, 0, .. new byte[0x2000], 5, 0, 0, 1, 0, 1], Token);
            while (_input.Seen.Length < 10) await Task.Delay(1, Token);
        }
        while (_input.Seen.Length < 12) await Task.Delay(1, Token);
        Assert.Equal(
            ["+1e", "-1e", "+58", "+9d", "-30", "10,20 of 200x100 Left, Right 0", "199,99 of 200x100 None -1", "0,0 of 200x100 None 0", "0,0 of 200x100 None 1", "1,1 of 200x100 None 0"], _input.Seen[..10]);
        Assert.Equal(["-58", "-9d"], _input.Seen[10..].Order());
    }

    [Theory]
    [InlineData("RFB 003.003\n")]
    [InlineData("RFB 003.007\n")]
    [InlineData("RFB 003.008\n")]
    public async Task A_password_is_asked_for_and_known(string version)
    {
        var address = Serve(password: "secret");
        await using var viewer = await TestViewer.ConnectAsync(address, Token);
        await viewer.GreetAsync(Token, challenge => VncPassword.Answer("secret"u8, challenge), version);
        await UpdateAsync(viewer, incremental: false);
        Assert.Equal(200 * 100, viewer.Pixels);
    }

    [Fact]
    public async Task A_wrong_password_is_refused_and_no_security_is_not_to_be_had()
    {
        var address = Serve(password: "secret");
        await using var wrong = await TestViewer.ConnectAsync(address, Token);
        var refused = await Assert.ThrowsAsync<UnauthorizedAccessException>(() => wrong.GreetAsync(Token, challenge => VncPassword.Answer("Secret"u8, challenge)));
        Assert.Equal("this is not the password", refused.Message);
        Assert.True(await wrong.IsHungUpAsync(Token));
        await using var none = await TestViewer.ConnectAsync(address, Token);
        await none.SendAsync([.. "RFB 003.008\n"u8, 1], Token);
        Assert.True(await none.IsHungUpAsync(Token));
    }

    [Fact]
    public async Task One_who_wants_the_screen_alone_gets_it()
    {
        await using var first = await ViewAsync(16);
        await using var second = await TestViewer.ConnectAsync(_server!.Address, Token);
        await second.GreetAsync(Token, shared: false);
        Assert.True(await first.IsHungUpAsync(Token));
        await UpdateAsync(second, incremental: false);
    }

    [Fact]
    public async Task What_is_no_viewer_costs_a_connection()
    {
        var address = Serve();
        foreach (var bytes in (byte[][])
        [
            [.. "GET / HTTP/1.1\r\n\r\n"u8], [.. "RFB 003.008\n"u8, 77], [.. Greeting, 99], [.. Greeting, 0, 0, 0, 0, 24, 24, 0, 1, .. new byte[12]], [.. Greeting, 0, 0, 0, 0, 32, 24, 0, 0, .. new byte[12]],
            [.. Greeting, 0, 0, 0, 0, 32, 24, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 31, 31, 31, 0, 0, 0], [.. Greeting, 2, 0, 0xff, 0xff], [.. Greeting, 6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [.. Greeting, 248, 0, 0, 0, 0, 0, 0, 0, 65], [.. Greeting, 255, 9, .. new byte[10]],
        ])
        {
            await using var viewer = await TestViewer.ConnectAsync(address, Token);
            await viewer.SendAsync(bytes, Token);
            Assert.True(await viewer.IsHungUpAsync(Token));
        }
        await using var right = await ViewAsync(16);
        await UpdateAsync(right, incremental: false);
    }

    [Fact]
    public async Task Random_bytes_end_a_connection_at_most()
    {
        var address = Serve();
        var random = new Random(9);
        for (var round = 0; round < 200; round++)
        {
            await using var viewer = await TestViewer.ConnectAsync(address, Token);
            var noise = new byte[random.Next(1, 300)];
            random.NextBytes(noise);
            if (round % 2 == 0) noise[0] = (byte)random.Next(7);
            try
            {
                await viewer.SendAsync([.. Greeting, .. noise], Token);
            }
            catch (IOException)
            {
                // It was hung up on already.
            }
        }
        // They end by themselves.
        for (var node = new InspectNode("vnc"); ; node = new InspectNode("vnc"))
        {
            _server!.Inspect(node);
            if (!node.Nodes.Any()) break;
            await Task.Delay(5, Token);
        }
        await using var right = await ViewAsync(16);
        await UpdateAsync(right, incremental: false);
    }

    [Fact]
    public async Task One_that_says_nothing_loses_its_connection()
    {
        await using var silent = await TestViewer.ConnectAsync(Serve(patience: TimeSpan.FromMilliseconds(50)), Token);
        Assert.True(await silent.IsHungUpAsync(Token));
    }

    [Fact]
    public async Task One_that_takes_nothing_loses_its_connection()
    {
        _screen.Show(Picture(2000, 2000, 1, int.MaxValue));
        await using var stalls = await TestViewer.ConnectAsync(Serve(patience: TimeSpan.FromSeconds(3)), Token);
        await stalls.GreetAsync(Token);
        await stalls.SetEncodingsAsync(Token, 0);
        // 16 MB, more than the host keeps for a connection.
        await stalls.RequestAsync(incremental: false, Token);
        for (var node = new InspectNode("vnc"); ; node = new InspectNode("vnc"))
        {
            _server!.Inspect(node);
            if (!node.Nodes.Any()) break;
            await Task.Delay(5, Token);
        }
    }

    [Fact]
    public async Task There_are_only_so_many_viewers()
    {
        var address = Serve();
        var viewers = new List<TestViewer>();
        for (var i = 0; i < VncServer.MostViewers; i++)
        {
            viewers.Add(await TestViewer.ConnectAsync(address, Token));
            await viewers[^1].GreetAsync(Token);
        }
        await using var more = await TestViewer.ConnectAsync(address, Token);
        Assert.True(await more.IsHungUpAsync(Token));
        foreach (var viewer in viewers) await viewer.DisposeAsync();
    }

    [Fact]
    public async Task A_socket_in_the_file_system_is_its_owners_and_goes_with_the_server()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("lamina-vnc-").FullName, "screen");
        var address = Serve(address: new UnixDomainSocketEndPoint(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        await using (var viewer = await TestViewer.ConnectAsync(address, Token))
        {
            await viewer.GreetAsync(Token);
            await UpdateAsync(viewer, incremental: false);
        }
        _server!.Dispose();
        Assert.False(File.Exists(path));
        Directory.Delete(Path.GetDirectoryName(path)!);
    }

    [Fact]
    public void A_port_that_is_taken_is_one_sentence()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        other.Listen();
        var refused = Assert.Throws<HostException>(() => Serve(address: other.LocalEndPoint));
        Assert.StartsWith($"the screen cannot be served at {other.LocalEndPoint}: ", refused.Message, StringComparison.Ordinal);
    }

    private static byte[] Greeting => [.. "RFB 003.008\n"u8, 1, 1];
}
