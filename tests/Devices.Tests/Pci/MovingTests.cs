// Registers that move, are switched off and asked for their size by one processor while others use them: each access reaches the function
// it was meant for, or nobody; none is lost half-way.
using Xunit;

namespace Lamina.Tests.Devices.Pci;

public sealed class MovingTests
{
    private const int Moves = 20_000;
    private const uint First = 0xe000_0000;

    [Fact]
    public async Task Accesses_that_are_under_way_while_registers_move_reach_one_function_or_nobody()
    {
        var machine = new PciTestMachine();
        var (one, other) = (machine.Add(3), machine.Add(4));
        foreach (var device in new[] { 3, 4 }) machine.Bus.Write(device * 8, 4, [2, 0]);
        using var end = new CancellationTokenSource();
        long reached = 0;
        var users = Enumerable.Range(0, 3).Select(user => Task.Factory.StartNew(() =>
        {
            var random = new Random(user);
            Span<byte> data = stackalloc byte[4];
            while (!end.IsCancellationRequested)
            {
                var address = First + ((ulong)random.Next(4) << 12) + ((ulong)random.Next(0x400) * 4);
                machine.Memory.Read(address, data);
                Assert.True(data[0] is TestFunction.MemoryMark or 0xff && data[1] == data[0] && data[3] == data[0]);
                if (data[0] == TestFunction.MemoryMark) Interlocked.Increment(ref reached);
            }
        }, TaskCreationOptions.LongRunning)).ToArray();

        var moving = new Random(7);
        for (var move = 0; move < Moves || (Volatile.Read(ref reached) == 0 && !users.Any(user => user.IsCompleted)); move++)
        {
            var function = moving.Next(2) == 0 ? one : other;
            switch (moving.Next(4))
            {
                case 0: function.WriteSpace(0x14, [0xff, 0xff, 0xff, 0xff]); break;
                case 1: function.WriteSpace(4, [(byte)(moving.Next(2) * 2), 0]); break;
                default: function.WriteSpace(0x14, BitConverter.GetBytes(First + ((uint)moving.Next(4) << 12))); break;
            }
        }
        await end.CancelAsync();
        await Task.WhenAll(users);

        Assert.NotEqual(0, reached);
    }
}
