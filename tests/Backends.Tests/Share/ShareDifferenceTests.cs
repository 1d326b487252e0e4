// The same operations on a shared folder and on a plain one beside it, with arguments as nobody sensible gives them: error numbers,
// what is read, attributes, and the two trees at the end are the same. What the guest knows by number is a descriptor on the other
// side, so that removed names, links and renamed folders are compared as well.
using System.Globalization;
using System.Text;
using Lamina.Backends.Share;
using Xunit;
using static Lamina.Tests.Backends.Share.FuseClient;

namespace Lamina.Tests.Backends.Share;

public sealed class ShareDifferenceTests : IDisposable
{
    private const uint TypeMask = 0xf000, TypeFile = 0x8000, TypeFolder = 0x4000, TypeLink = 0xa000;

    private readonly ShareFolder _shared = new(), _plain = new();
    private readonly List<string> _log = [];

    // What both sides know: a node of the guest's and a descriptor, with a type; and what both have open.
    private readonly List<(ulong Node, int Descriptor, uint Type)> _nodes = [];
    private readonly List<(ulong Handle, int Descriptor, bool IsFolder)> _open = [];
    private FuseClient _guest = null!;
    private Random _random = null!;

    public void Dispose()
    {
        foreach (var node in _nodes) HostCalls.Close(node.Descriptor);
        foreach (var open in _open) HostCalls.Close(open.Descriptor);
        _guest.Dispose();
        _shared.Dispose();
        _plain.Dispose();
    }

    [Theory]
    [InlineData(1, 1000, 500)]
    [InlineData(2, 1000, 500)]
    [InlineData(3, 16, 8)]
    [InlineData(4, 16, 8)]
    public void A_shared_folder_answers_as_the_hosts_own_does(int seed, int heldNodes, int mostNodes)
    {
        const int operations = 1500;
        _random = new Random(seed);
        _guest = new FuseClient(_shared.Path, new ShareOptions { ExtendedAttributes = true, Limits = new ShareLimits(1000, heldNodes, 1 << 30) });
        _nodes.Add((1, HostCalls.OpenAt(-1, Encoding.UTF8.GetBytes(_plain.Path), HostCalls.OpenPath), TypeFolder));
        var met = new HashSet<int>();

        for (var i = 0; i < operations; i++)
        {
            _log.Clear();
            var (share, host) = Operate();
            Assert.True(share == host, $"operation {i} of seed {seed}: {string.Join(' ', _log)}: the share says {share}, the host {host}");
            met.Add(host);
            while (_nodes.Count > mostNodes) ForgetOne();
        }

        Assert.Equal(Tree(_plain.Path), Tree(_shared.Path));
        Assert.True(met.Count(result => result < 0) >= 10, $"only the errors {string.Join(' ', met)} were met");
        foreach (var (node, _, _) in _nodes.Skip(1)) _guest.Ask(Forget, node, Longs(ulong.MaxValue), out _);
        foreach (var (handle, _, _) in _open) _guest.Ask(Release, 0, Longs(handle, 0, 0), out _);
        var left = _guest.Share.Statistics;
        Assert.Equal((1, 0, 0), (left.Nodes, left.OpenFiles, left.HeldNodes));
    }

    private void ForgetOne()
    {
        var at = 1 + _random.Next(_nodes.Count - 1);
        _guest.Ask(Forget, _nodes[at].Node, Longs(1), out _);
        HostCalls.Close(_nodes[at].Descriptor);
        _nodes.RemoveAt(at);
    }

    private (int Share, int Host) Operate() => _random.Next(20) switch
    {
        0 or 1 => DoLookup(),
        2 or 3 => DoCreate(),
        4 => DoMakeFolder(),
        5 => DoMakeNode(),
        6 => DoSymbolicLink(),
        7 => DoLink(),
        8 => DoRemove(),
        9 or 10 => DoRename(),
        11 => DoOpen(),
        12 => DoReadOrWrite(),
        13 => DoAllocateOrSeek(),
        14 => DoSetLength(),
        15 => DoSetMode(),
        16 => DoStatus(),
        17 => DoReadLinkOrClose(),
        18 => DoExtended(),
        _ => DoNameless(),
    };

    private (int, int) DoLookup()
    {
        var (node, name) = (Folder(), Name());
        Log("lookup", node, name);
        return Told(Ask(Lookup, node.Node, [.. name, 0], out var body), body, HostCalls.OpenAt(node.Descriptor, name, HostCalls.OpenPath | HostCalls.NoFollow));
    }

    private (int, int) DoMakeFolder()
    {
        var (node, name, mode) = (Folder(), Name(), Mode());
        Log("mkdir", node, name, mode);
        return Made(node, name, mode, Ask(MakeFolder, node.Node, [.. Words(mode, 0), .. name, 0], out var body), body, HostCalls.MakeFolder(node.Descriptor, name, mode));
    }

    private (int, int) DoMakeNode()
    {
        var (node, name, mode) = (Folder(), Name(), Mode() | Pick<uint>(0, TypeFile, 0x1000, 0xc000));
        Log("mknod", node, name, mode);
        return Made(node, name, mode & ~TypeMask, Ask(MakeNode, node.Node, [.. Words(mode, 0, 0, 0), .. name, 0], out var body), body, HostCalls.MakeNode(node.Descriptor, name, mode));
    }

    private (int, int) DoSymbolicLink()
    {
        var (node, name, target) = (Folder(), Name(), Pick(Name(), new byte[4095], new byte[4096], [], "/etc/passwd"u8.ToArray()));
        for (var i = 0; i < target.Length; i++) if (target[i] == 0) target[i] = (byte)'t';
        Log("symlink", node, name, target.Length);
        var (share, host) = (Ask(SymbolicLink, node.Node, [.. name, 0, .. target, 0], out var body), HostCalls.SymbolicLink(target, node.Descriptor, name));
        return Told(share, body, host < 0 ? host : HostCalls.OpenAt(node.Descriptor, name, HostCalls.OpenPath | HostCalls.NoFollow));
    }

    private (int, int) DoLink()
    {
        var (existing, node, name) = (Node(), Folder(), Name());
        Log("link", existing, node, name);
        var (share, host) = (Ask(Link, node.Node, [.. Longs(existing.Node), .. name, 0], out var body), HostCalls.Link(existing.Descriptor, node.Descriptor, name));
        if (share == 0) Assert.Equal(existing.Node, BitConverter.ToUInt64(body));
        return Told(share, body, host < 0 ? host : HostCalls.OpenAt(node.Descriptor, name, HostCalls.OpenPath | HostCalls.NoFollow));
    }

    private (int, int) DoRemove()
    {
        var (node, name, isFolder) = (Folder(), Name(), _random.Next(2) == 0);
        Log("remove", node, name, isFolder);
        return (Ask(isFolder ? RemoveFolder : Unlink, node.Node, [.. name, 0], out _), HostCalls.Remove(node.Descriptor, name, isFolder));
    }

    private (int, int) DoRename()
    {
        var (node, name, target, newName, flags) = (Folder(), Name(), Folder(), Name(), Pick<uint>(0, 0, 0, 1, 2, 3, 8));
        Log("rename", node, name, target, newName, flags);
        return (Ask(Rename2, node.Node, [.. Longs(target.Node), .. Words(flags, 0), .. name, 0, .. newName, 0], out _), HostCalls.Rename(node.Descriptor, name, target.Descriptor, newName, flags));
    }

    private (int, int) DoCreate()
    {
        var (node, name, mode) = (Folder(), Name(), Mode());
        var flags = (int)Pick<uint>(0, 1, 2) | (int)Pick<uint>(0, 0x80, 0x200, 0x400);
        Log("create", node, name, mode, flags);
        var before = HostCalls.OpenAt(node.Descriptor, name, HostCalls.OpenPath | HostCalls.NoFollow);
        var type = before < 0 ? 0 : HostCalls.Status(before).Mode & TypeMask;
        if (before >= 0) HostCalls.Close(before);
        // What is neither file nor folder is not opened for a guest.
        if (type is not (0 or TypeFile or TypeFolder or TypeLink)) return (0, 0);
        var share = Ask(Create, node.Node, [.. Words((uint)flags, mode, 0, 0), .. name, 0], out var body);
        var host = HostCalls.OpenAt(node.Descriptor, name, flags | HostCalls.Create | HostCalls.NoFollow, mode);
        if (share < 0 || host < 0) return (share, host);
        if (type == 0) HostCalls.SetMode(host, mode);
        Tell(body, HostCalls.OpenAt(node.Descriptor, name, HostCalls.OpenPath | HostCalls.NoFollow));
        _open.Add((BitConverter.ToUInt64(body, 128), host, false));
        return (0, 0);
    }

    private (int, int) DoNameless()
    {
        var (node, mode, flags) = (Folder(), Mode(), (int)Pick<uint>(0, 1, 2, 0x82));
        Log("tmpfile", node, mode, flags);
        var share = Ask(CreateNameless, node.Node, [.. Words((uint)flags, mode, 0, 0), .. "/"u8, 0], out var body);
        var host = HostCalls.OpenAt(node.Descriptor, [(byte)'.'], flags | HostCalls.Nameless, mode);
        if (share < 0 || host < 0) return (share, host);
        HostCalls.SetMode(host, mode);
        Tell(body, HostCalls.Reopen(host, HostCalls.OpenPath));
        _open.Add((BitConverter.ToUInt64(body, 128), host, false));
        return (0, 0);
    }

    private (int, int) DoOpen()
    {
        var node = Node();
        var flags = (int)Pick<uint>(0, 1, 2, 0x201, 0x202, 0x401);
        Log("open", node, flags);
        if (node.Type is not (TypeFile or TypeFolder)) return (0, 0);
        var share = Ask(node.Type == TypeFolder ? OpenFolder : Open, node.Node, Words((uint)flags, 0), out var body);
        var host = node.Type == TypeFolder ? HostCalls.OpenAt(node.Descriptor, [(byte)'.'], flags | HostCalls.Directory) : HostCalls.Reopen(node.Descriptor, flags);
        if (share < 0 || host < 0) return (share, host);
        _open.Add((BitConverter.ToUInt64(body), host, node.Type == TypeFolder));
        return (0, 0);
    }

    private (int, int) DoReadOrWrite()
    {
        if (_open.Count == 0) return (0, 0);
        var open = _open[_random.Next(_open.Count)];
        var (offset, length) = (Offset(), Pick(0, 1, 100, 5000));
        Log(open, offset, length);
        if (_random.Next(2) == 0)
        {
            var data = new byte[length];
            _random.NextBytes(data);
            var share = Ask(Write, 0, [.. Longs(open.Handle, offset), .. Words((uint)length, 0), .. Longs(0, 0), .. data], out var body);
            return (share < 0 ? share : (int)BitConverter.ToUInt32(body), HostCalls.Write(open.Descriptor, data, offset));
        }
        var into = new byte[length];
        var (read, expected) = (Ask(Read, 0, [.. Longs(open.Handle, offset), .. Words((uint)length, 0), .. Longs(0, 0)], out var content), HostCalls.Read(open.Descriptor, into, offset));
        if (read == 0 && expected >= 0) Assert.Equal(into[..expected], content);
        return (read < 0 ? read : content.Length, expected);
    }

    private (int, int) DoAllocateOrSeek()
    {
        if (_open.Count == 0) return (0, 0);
        var open = _open[_random.Next(_open.Count)];
        var (offset, length, mode) = (Offset(), Pick<ulong>(0, 1, 5000, 1ul << 62, ulong.MaxValue), (int)Pick<uint>(0, 1, 2, 3, 16, 17));
        Log(open, offset, length, mode);
        if (_random.Next(2) == 0) return (Ask(43, 0, [.. Longs(open.Handle, offset, length), .. Words((uint)mode, 0)], out _), HostCalls.Allocate(open.Descriptor, mode, offset, length));
        var whence = (int)Pick<uint>(3, 4);
        var share = Ask(46, 0, [.. Longs(open.Handle, offset), .. Words((uint)whence, 0)], out var body);
        return (share < 0 ? share : (int)BitConverter.ToUInt64(body), (int)HostCalls.Seek(open.Descriptor, offset, whence));
    }

    private (int, int) DoSetLength()
    {
        var length = Pick<ulong>(0, 1, 5000, 1ul << 62, ulong.MaxValue);
        if (_open.Count > 0 && _random.Next(2) == 0)
        {
            var open = _open[_random.Next(_open.Count)];
            Log("ftruncate", open, length);
            var arguments = (byte[])[.. Words(8 | 64, 0), .. Longs(open.Handle, length, 0, 0, 0, 0), .. Words(0, 0, 0, 0, 0, 0, 0, 0)];
            return (Ask(SetAttributes, 1, arguments, out _), HostCalls.SetOpenLength(open.Descriptor, length));
        }
        var node = Node();
        Log("truncate", node, length);
        // Of a link the kernel never asks: it follows it first.
        return node.Type == TypeLink ? (0, 0) : (-_guest.SetAttributesOf(node.Node, 8, size: length), HostCalls.SetLength(node.Descriptor, length));
    }

    private (int, int) DoSetMode()
    {
        var (node, mode, change) = (Node(), Mode(), Pick<ulong>(0, 1_000_000_000, 1ul << 33));
        Log("chmod or utimes", node, mode, change);
        return node.Type == TypeLink || _random.Next(2) == 0
            ? (-_guest.SetAttributesOf(node.Node, 32, change: change), HostCalls.SetChange(node.Descriptor, (long)change))
            : (-_guest.SetAttributesOf(node.Node, 1, mode: mode), HostCalls.SetMode(node.Descriptor, mode));
    }

    private (int, int) DoStatus()
    {
        var node = Node();
        Log("stat", node);
        var share = Ask(GetAttributes, node.Node, Words(0, 0, 0, 0), out var body);
        var host = HostCalls.Status(node.Descriptor);
        if (share != 0 || host.Error != 0) return (share, host.Error);
        var (mode, links, size) = (BitConverter.ToUInt32(body, 16 + 60), BitConverter.ToUInt32(body, 16 + 64), BitConverter.ToUInt64(body, 16 + 8));
        Assert.Equal((host.Mode, host.Links, host.Size), (mode, links, size));
        return (0, 0);
    }

    private (int, int) DoReadLinkOrClose()
    {
        if (_open.Count > 20)
        {
            var at = _random.Next(_open.Count);
            HostCalls.Close(_open[at].Descriptor);
            var closed = Ask(Release, 0, Longs(_open[at].Handle, 0, 0), out _);
            _open.RemoveAt(at);
            return (closed, 0);
        }
        var (node, into) = (Node(), new byte[4096]);
        Log("readlink", node);
        // Of what is no link the kernel never asks.
        if (node.Type != TypeLink) return (0, 0);
        var share = Ask(ReadLink, node.Node, [], out var body);
        var host = HostCalls.ReadLink(node.Descriptor, into);
        if (host >= 0) Assert.Equal(into[..host], body);
        return (share < 0 ? share : body.Length, host);
    }

    private (int, int) DoExtended()
    {
        var (node, name, value) = (Node(), Pick("user.a"u8.ToArray(), "user."u8.ToArray(), Encoding.ASCII.GetBytes("user." + new string('x', 250)), Encoding.ASCII.GetBytes("user." + new string('x', 251))), new byte[Pick(0, 1, 50, 70_000)]);
        Log("xattr", node, name.Length, value.Length);
        switch (_random.Next(3))
        {
            case 0:
                var flags = (int)Pick<uint>(0, 1, 2, 3, 4);
                return (Ask(SetExtended, node.Node, [.. Words((uint)value.Length, (uint)flags), .. name, 0, .. value], out _), HostCalls.SetAttribute(node.Descriptor, name, value, flags));
            case 1:
                var share = Ask(GetExtended, node.Node, [.. Words((uint)value.Length, 0), .. name, 0], out var body);
                return (share < 0 ? share : value.Length == 0 ? (int)BitConverter.ToUInt32(body) : body.Length, HostCalls.GetAttribute(node.Descriptor, name, value));
            default:
                return (Ask(RemoveExtended, node.Node, [.. name, 0], out _), HostCalls.RemoveAttribute(node.Descriptor, name));
        }
    }

    // What was made has the permissions that were asked for, whatever this process's mask is.
    private (int, int) Made((ulong Node, int Descriptor, uint Type) folder, byte[] name, uint mode, int share, byte[] body, int host)
    {
        if (host < 0) return Told(share, body, host);
        HostCalls.SetModeAt(folder.Descriptor, name, mode);
        return Told(share, body, HostCalls.OpenAt(folder.Descriptor, name, HostCalls.OpenPath | HostCalls.NoFollow));
    }

    private (int, int) Told(int share, byte[] body, int host)
    {
        if (share < 0 || host < 0) return (share, host);
        Tell(body, host);
        return (0, 0);
    }

    private void Tell(byte[] body, int host)
    {
        var (error, mode, links, size) = HostCalls.Status(host);
        Assert.Equal(0, error);
        Assert.Equal((mode, links, size), (BitConverter.ToUInt32(body, 40 + 60), BitConverter.ToUInt32(body, 40 + 64), BitConverter.ToUInt64(body, 40 + 8)));
        _nodes.Add((BitConverter.ToUInt64(body), host, mode & TypeMask));
    }

    private int Ask(uint operation, ulong node, byte[] arguments, out byte[] body) => -_guest.Ask(operation, node, arguments, out body);

    private (ulong Node, int Descriptor, uint Type) Node() => _nodes[_random.Next(_nodes.Count)];

    // Mostly a folder; of what is none every name is asked for in vain.
    private (ulong Node, int Descriptor, uint Type) Folder()
    {
        if (_random.Next(3) == 0) return _nodes[0];
        var node = Node();
        for (var tries = 0; tries < 5 && node.Type != TypeFolder; tries++) node = Node();
        return node;
    }

    private byte[] Name() => _random.Next(8) != 0
        ? [(byte)('a' + _random.Next(8))]
        : Pick(Repeated(255), Repeated(256), Repeated(4095), Repeated(4096), Repeated(5000), [0xff, 0xfe], "\n"u8.ToArray(), "..."u8.ToArray(), " "u8.ToArray());

    private static byte[] Repeated(int count) => [.. Enumerable.Repeat((byte)'n', count)];

    private uint Mode() => Pick<uint>(0, 0b111_111_111, 0b110_110_110, 0b1_111_111_111, 0b111_000_000);

    private ulong Offset() => Pick<ulong>(0, 1, 4096, 100_000, 1ul << 40, 1ul << 62, ulong.MaxValue);

    private T Pick<T>(params T[] values) => values[_random.Next(values.Length)];

    private void Log(params object[] what) => _log.AddRange(what.Select(word => word is byte[] name ? (name.Length < 10 ? Encoding.Latin1.GetString(name) : $"{name.Length} bytes") : string.Create(CultureInfo.InvariantCulture, $"{word}")));

    // Everything below a folder, by the host's find: type, permissions, links, length, target, name; and sums of what has not grown a hole as large as a disk.
    private static string Tree(string folder)
    {
        var script = "find . ! -path . \\( -type d -printf '%y %m %n %l %P\\0' -o -printf '%y %m %n %s %l %P\\0' \\) | sort -z | tr '\\0' '\\n'; find . -type f -size -1000k -print0 | sort -z | xargs -0 -r sha256sum";
        var start = new System.Diagnostics.ProcessStartInfo("sh", ["-c", script]) { WorkingDirectory = folder, RedirectStandardOutput = true };
        using var process = System.Diagnostics.Process.Start(start)!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return text;
    }
}
