// An EventProgram on its way: one machine, or two between which the vCPU moves at each kick. It is the second vCPU, which INIT has wait for a
// start-up IPI; the first one never runs.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Xunit;

namespace Lamina.Tests.Engine.Shared.Guest;

internal sealed class EventRun : IDisposable
{
    private readonly EventProgram _program;
    private readonly SmallMachine[] _machines;
    private readonly bool _exact;
    private int _at, _asked, _halts;
    private bool _kicked, _ended, _owesStart;

    internal EventRun(EventProgram program, string from, string to)
    {
        _program = program;
        Model = new EventModel(program);
        _exact = EngineKind.IsExact(from) && EngineKind.IsExact(to);
        _machines = SmallMachine.Each(from == to ? [from] : [from, to], cpus: 2);
        foreach (var machine in _machines)
        {
            machine.Ended = () => { _ended = true; machine.Vcpu.Kick(); };
            machine.Logged = asked => Answer(machine, (int)asked);
        }
    }

    /// <summary>What must come of it.</summary>
    internal EventModel Model { get; }

    /// <summary>The machine that it is on.</summary>
    internal SmallMachine Machine => _machines[_at];

    /// <summary>What the machine raised, and how many handlers had run before.</summary>
    internal List<(int Handler, int At)> Raised { get; } = [];

    /// <summary>How often it was sent INIT.</summary>
    internal int Inits { get; private set; }

    /// <summary>Runs it, and gives the state at its end.</summary>
    internal VcpuState ToEnd()
    {
        foreach (var machine in _machines) Assert.Empty(machine.Vcpu.SetState(_program.Load(machine)));
        while (true)
        {
            var exit = Machine.RunTo();
            Assert.True(exit == VcpuExit.Kicked && (_ended || _kicked), $"{exit} {Machine.Vcpu.Failure} at {Machine.State().Rip:x}, {Machine.State().Activity}, after {_asked} of its events");
            if (_ended) return Machine.State();
            _kicked = false;
            Move();
            if (_owesStart) Assert.True(Machine.Send(Machine.Main, InterruptDeliveryMode.StartUp, EventProgram.StartPage));
            _owesStart = false;
        }
    }

    public void Dispose()
    {
        foreach (var machine in _machines) machine.Dispose();
    }

    private void Move()
    {
        if (_machines.Length == 1) return;
        var (state, image, before) = (Machine.State(), Machine.LocalApic, Machine);
        _at ^= 1;
        TransferTests.CopyMemory(before, Machine);
        Machine.Take(state);
        Machine.LocalApic = image;
    }

    private void Answer(SmallMachine machine, int asked)
    {
        if (asked == EventProgram.WantsNothing) return;
        var raise = _asked < _program.Raises.Count ? _program.Raises[_asked] : new EventRaise([], Nmi: false, Kick: false);
        _asked++;
        if (asked == EventProgram.AsksToHalt) EventProgram.Tell(machine, _exact && Model.Halts[_halts++]);
        else if (raise.Nmi)
        {
            Raised.Add((EventProgram.NmiHandler, EventProgram.LogLength(machine)));
            machine.Send(machine.Main, InterruptDeliveryMode.Nmi);
        }
        if (raise.HasInit)
        {
            Inits++;
            Assert.True(machine.Send(machine.Main, InterruptDeliveryMode.Init));
        }
        if (raise.Start is EventStart.AtOnce or EventStart.Unasked) Assert.True(machine.Send(machine.Main, InterruptDeliveryMode.StartUp, EventProgram.StartPage));
        foreach (var vector in raise.Vectors)
        {
            Raised.Add((vector, EventProgram.LogLength(machine)));
            Assert.True(machine.Interrupt(vector));
        }
        // Where it leaves late it may have been asked for other things before.
        _owesStart |= raise.Start == EventStart.WhenLeft;
        if (!raise.Kick && !_owesStart) return;
        _kicked = true;
        machine.Vcpu.Kick();
    }
}
