// The guest's side of the FUSE protocol, rightly or wrongly spoken.
using System.Buffers.Binary;
using System.Text;
using Lamina.Backends.Share;
using Xunit;

namespace Lamina.Tests.Backends.Share;

internal sealed class FuseClient : IDisposable
{
    public const uint Lookup = 1, Forget = 2, GetAttributes = 3, SetAttributes = 4, ReadLink = 5, SymbolicLink = 6, MakeNode = 8, MakeFolder = 9, Unlink = 10,
        RemoveFolder = 11, Rename = 12, Link = 13, Open = 14, Read = 15, Write = 16, Release = 18, SetExtended = 21, GetExtended = 22, ListExtended = 23, RemoveExtended = 24, Init = 26, OpenFolder = 27, ReadFolder = 28, Create = 35, Rename2 = 45,
        SyncFileSystem = 50, CreateNameless = 51;

    private readonly SharedFolder _share;
    private ulong _unique;

    public FuseClient(string path, ShareOptions? options = null)
    {
        _share = new SharedFolder(path, options ?? new ShareOptions());
        Assert.Equal(0, Ask(Init, 0, Words(7, 38, 65536, uint.MaxValue, 0), out var reply));
        Assert.Equal((7u, 37u), (BinaryPrimitives.ReadUInt32LittleEndian(reply), BinaryPrimitives.ReadUInt32LittleEndian(reply.AsSpan(4))));
    }

    public SharedFolder Share => _share;

    public static byte[] Words(params uint[] words) => [.. words.SelectMany(BitConverter.GetBytes)];

    public static byte[] Longs(params ulong[] words) => [.. words.SelectMany(BitConverter.GetBytes)];

    public static byte[] Text(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    /// <summary>Sends a request. The error number, and the reply's body.</summary>
    public int Ask(uint operation, ulong node, byte[] arguments, out byte[] body, int room = 1 << 17)
    {
        var request = new byte[40 + arguments.Length];
        BinaryPrimitives.WriteInt32LittleEndian(request, request.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(4), operation);
        BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(8), ++_unique);
        BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(16), node);
        arguments.CopyTo(request, 40);
        var reply = new byte[room];
        var length = _share.Answer(request, reply);
        body = [];
        if (length == 0) return 0;
        Assert.Equal(length, BinaryPrimitives.ReadInt32LittleEndian(reply));
        Assert.Equal(_unique, BinaryPrimitives.ReadUInt64LittleEndian(reply.AsSpan(8)));
        body = reply[16..length];
        return -BinaryPrimitives.ReadInt32LittleEndian(reply.AsSpan(4));
    }

    /// <summary>Looks a path up, name by name. The node, or the negative of the error number.</summary>
    public long Find(string path)
    {
        ulong node = 1;
        foreach (var name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var error = Ask(Lookup, node, Text(name), out var body);
            if (error != 0) return -error;
            node = BinaryPrimitives.ReadUInt64LittleEndian(body);
        }
        return (long)node;
    }

    /// <summary>Opens a node. The handle, or the negative of the error number.</summary>
    public long OpenNode(long node, uint flags = 0, uint operation = Open)
    {
        var error = Ask(operation, (ulong)node, Words(flags, 0), out var body);
        return error != 0 ? -error : BitConverter.ToInt64(body);
    }

    public string ReadAll(string path) => ReadNode(Find(path));

    public string ReadNode(long node)
    {
        var handle = OpenNode(node);
        Assert.True(handle > 0, $"node {node} cannot be opened: {-handle}");
        Assert.Equal(0, Ask(Read, 0, [.. Longs((ulong)handle, 0), .. Words(65536, 0), .. Longs(0, 0)], out var body));
        Assert.Equal(0, Ask(Release, 0, Longs((ulong)handle, 0, 0), out _));
        return Encoding.UTF8.GetString(body);
    }

    /// <summary>Sets attributes; which ones, FATTR_* say. The error number.</summary>
    public int SetAttributesOf(ulong node, uint valid, ulong size = 0, uint mode = 0, ulong change = 0, uint user = 0, uint group = 0) =>
        Ask(SetAttributes, node, [.. Words(valid, 0), .. Longs(0, size, 0, 0, change, 0), .. Words(0, 0, 0, mode, 0, user, group, 0)], out _);

    public IReadOnlyList<string> List(string path)
    {
        var handle = OpenNode(Find(path), operation: OpenFolder);
        var names = new List<string>();
        ulong offset = 0;
        while (true)
        {
            Assert.Equal(0, Ask(ReadFolder, 0, [.. Longs((ulong)handle, offset), .. Words(256, 0), .. Longs(0, 0)], out var body));
            if (body.Length == 0) return names;
            for (var at = 0; at < body.Length;)
            {
                offset = BitConverter.ToUInt64(body, at + 8);
                var length = BitConverter.ToInt32(body, at + 16);
                names.Add(Encoding.UTF8.GetString(body, at + 24, length));
                at += (24 + length + 7) & ~7;
            }
        }
    }

    public void Dispose() => _share.Dispose();
}
