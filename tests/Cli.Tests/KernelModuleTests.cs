using Lamina.Host;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class KernelModuleTests
{
    [Fact]
    public void A_module_tells_its_name_what_it_needs_and_what_it_serves()
    {
        var file = ModuleFile.Create("virtio_rng", "virtio,virtio-ring", "virtio:d00000004v*", "of:N*T*C");

        var module = KernelModule.TryParse(file, "fallback");

        Assert.NotNull(module);
        Assert.Equal("virtio_rng", module.Name);
        Assert.Equal(["virtio", "virtio_ring"], module.Depends);
        Assert.Equal(["virtio:d00000004v*", "of:N*T*C"], module.Aliases);
    }

    [Fact]
    public void A_module_that_needs_nothing_has_no_dependencies() =>
        Assert.Empty(KernelModule.TryParse(ModuleFile.Create("fuse"), "fuse")!.Depends);

    [Fact]
    public void A_file_cut_off_anywhere_is_refused_or_read_without_a_fault()
    {
        var file = ModuleFile.Create("virtio", "virtio_ring");

        for (var length = 0; length < file.Length; length++)
            Assert.Null(KernelModule.TryParse(file.AsSpan(0, length), "virtio"));
    }

    [Fact]
    public void A_file_with_any_wrong_bytes_is_refused_or_read_without_a_fault()
    {
        var file = ModuleFile.Create("virtio", "virtio_ring", "virtio:d00000001v*");
        var random = new Random(7);

        for (var round = 0; round < 20_000; round++)
        {
            var damaged = (byte[])file.Clone();
            for (var i = 0; i < 4; i++) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            Assert.True(KernelModule.TryParse(damaged, "virtio") is null or { Name: not null });
        }
    }

    [Fact]
    public void A_compressed_module_is_unpacked()
    {
        // printf 'hello hello hello hello\n' | xz
        var packed = Convert.FromBase64String("/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAXAAxdADQZSe6N6VYKwSGwAABsFO0bO2i7kQABKBjXg7duH7bzfQEAAAAABFla");

        Assert.Equal("hello hello hello hello\n"u8.ToArray(), Xz.Decompress(packed, 1 << 20));
    }

    [Fact]
    public void Compressed_data_that_are_damaged_too_large_or_cut_off_are_refused()
    {
        var packed = Convert.FromBase64String("/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAXAAxdADQZSe6N6VYKwSGwAABsFO0bO2i7kQABKBjXg7duH7bzfQEAAAAABFla");
        var damaged = (byte[])packed.Clone();
        damaged[30] ^= 0xff;

        Assert.Throws<HostException>(() => Xz.Decompress(damaged, 1 << 20));
        Assert.Throws<HostException>(() => Xz.Decompress(packed, 10));
        Assert.Throws<HostException>(() => Xz.Decompress(packed.AsSpan(0, 40), 1 << 20));
        Assert.Throws<HostException>(() => Xz.Decompress([], 1 << 20));
    }
}
