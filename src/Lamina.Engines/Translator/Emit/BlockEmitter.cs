// Turns a decoded block into host code. This file: the walk over the instructions, flags, and what happens at the end.
// The other parts: Memory (addresses and checked accesses), Plain (instructions re-encoded from their own bytes),
// Slots, Stack, Stretches, StackRuns, Groups, Control, Calls, System.
//
// Invariants at every instruction boundary: guest registers are where GuestRegisters says; arithmetic flags are in the
// host's flags or parked (Frame.ParkedFlags), as _flags says, unless they are dead; no architectural write has
// happened of an instruction that may still fault. At the block's ends live flags are in the host's flags for direct
// links and parked for everything that goes through the jump cache.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter(CodeBuffer buffer, StubAddresses stubs, NeighbourLookup neighbour)
{
    private enum FlagPlace : byte
    {
        Host,
        Both,
        Parked,
    }

    private enum ColdKind : byte
    {
        Access,
        Segment,
        Poll,
        Link,
        FarEdge,
        FarLink,
        System,
        Vectors,
        Return,
    }

    /// <summary>Code that is emitted into the block's cold part because it rarely runs.</summary>
    private struct Cold
    {
        public ColdKind Kind;
        public byte* Jump0, Jump1;
        public byte* Resume, ResumeEnd;
        public int GuestOffset, Size, Alignment, AddressRegister, Target, Segment, Index;
        public bool Reads, Writes, Parked, FlagsLive, InGroup;
    }

    /// <summary>The most bytes a block's code can take, with room to spare; the buffer is asked for it beforehand.</summary>
    public const int MaxBlockBytes = 64 * 1024;

    private readonly Cold[] _cold = new Cold[GuestBlock.MaxInstructions * 4 + 12];
    private int _coldCount;
    private Assembler _asm;
    private GuestBlock _block = null!;
    private ModeKey _key;
    private ulong _linear, _codeBase;
    private int _pageOffset;
    private FlagPlace _flags;
    private int _index;
    private bool _long, _continues;
    private int? _follower;
    private BlockIdentity _identity;

    private bool PositionIndependent => (_key & ModeKey.PositionIndependent) != 0;

    /// <summary>Emits a block. The caller has made sure of <see cref="MaxBlockBytes"/> of room.</summary>
    /// <param name="block">Decoded and analysed.</param>
    /// <param name="identity">What it is.</param>
    /// <param name="linear">Linear address of the block (only its page offset is used for position-independent code).</param>
    /// <param name="result">Receives the host range, sites and the like. Says whether the block behind it will be emitted next.</param>
    public void Emit(GuestBlock block, in BlockIdentity identity, ulong linear, Block result)
    {
        _block = block;
        _identity = identity;
        _key = identity.Key;
        _linear = linear;
        _codeBase = identity.CodeBase;
        _pageOffset = (int)(linear & 0xfff);
        _follower = result.Follower;
        _flags = FlagPlace.Host;
        _coldCount = 0;
        _stretchCount = 0;
        _held = NotPresent;
        _long = _key.CodeSize() == CodeSize.Code64;
        Begin(result, block.End == BlockEnd.Undecodable ? Flags.All : block.LiveIn);
        if (block.End == BlockEnd.Undecodable)
        {
            LeaveInline(SiteKind.Undecodable, stubs.Undecodable, 0, target: (int)block.Undecodable);
        }
        else
        {
            result.LoadsVectors = !_key.HasVectorsLoaded() && UsesVectors();
            if (result.LoadsVectors) EmitVectorLoad();
            EmitInstructions();
        }
        End(result);
        _asm.Cursor = buffer.BeginCold(MaxBlockBytes);
        result.ColdStart = buffer.OffsetOf(_asm.Cursor);
        EmitStretchesOneByOne();
        EmitCold();
        result.ColdEnd = buffer.EndCold(_asm.Cursor);
        result.InstructionCount = block.Count;
        result.StartCount = buffer.Instructions.Count - result.FirstInstruction;
        result.SiteCount = buffer.Sites.Count - result.FirstSite;
        result.DistanceCount = (buffer.Distances?.Count ?? 0) - result.FirstDistance;
        result.LiveIn = block.End == BlockEnd.Undecodable ? Flags.All : block.LiveIn;
        result.Length = block.Length;
    }

    private void Begin(Block result, Flags live)
    {
        _asm = buffer.BeginBlock(_continues);
        result.FirstDistance = buffer.Distances?.Count ?? 0;
        BeginLanding(live);
        _asm.AlignEntry();
        result.HostStart = buffer.OffsetOf(_asm.Cursor);
        result.FirstSite = buffer.Sites.Count;
        result.FirstInstruction = buffer.Instructions.Count;
    }

    private void End(Block result)
    {
        // An invalidated block is entered over a call that replaces its first bytes: there must be room for it.
        if (buffer.OffsetOf(_asm.Cursor) - result.HostStart is var length and < 5) _asm.Nop(5 - length);
        result.HostEnd = buffer.End(_asm.Cursor);
        _continues = _follower != null;
    }

    /// <summary>Whether an instruction of the block works on the host's x87 or vector state.</summary>
    private bool UsesVectors()
    {
        for (var i = 0; i < _block.Count; i++)
        {
            ref readonly var instruction = ref _block.Instructions[i];
            if (instruction.State != StateClass.Integer && IsPlain(instruction.Id) && StateEnabled(instruction.State)) return true;
        }
        return false;
    }

    /// <summary>Before the first instruction, since nothing within the block may leave between the test and what it is for.</summary>
    private void EmitVectorLoad()
    {
        ParkFlags(_block.LiveIn);
        _asm.GsCompare8(Slot.VectorsLoaded, 0);
        _cold[_coldCount++] = new Cold { Kind = ColdKind.Vectors, Jump0 = _asm.JccForward(Cond.E), Resume = _asm.Cursor };
    }

    private static bool IsPlain(InstructionId id) => id is InstructionId.Plain or InstructionId.Mov or InstructionId.ZeroRegister or InstructionId.Xchg
        or InstructionId.ShiftByCl or InstructionId.ReadRandom or InstructionId.Fwait or InstructionId.CompareExchangeWide or InstructionId.Divide;

    private void EmitInstructions()
    {
        var poll = PollIndex();
        for (_index = 0; _index < _block.Count; _index++)
        {
            NoteInstruction();
            if (_index == poll) EmitPoll();
            if (StackRunLength(poll) is var run and > 0) EmitStackRun(run);
            else if (GroupLength(poll) is var group and > 0) EmitGroup(group);
            else EmitInstruction(_block.Instructions[_index]);
        }
        DropHeld();
        if (_block.End == BlockEnd.FallThrough)
        {
            _index = _block.Count - 1;
            if ((_key & ModeKey.SingleStep) != 0) EmitStep();
            else EmitJump(_block.Length, _block.LiveAfter[_index]);
        }
    }

    private void NoteInstruction() =>
        buffer.Instructions.Add((buffer.OffsetOf(_asm.Cursor), (ushort)_block.Offsets[_index], _flags == FlagPlace.Parked));

    private void EmitInstruction(in Instruction instruction)
    {
        BeginHeld(instruction);
        if (!StateEnabled(instruction.State) || (_key & ModeKey.AlignmentCheck) != 0 && NeedsExecutor(instruction))
        {
            EmitSystem();
            return;
        }
        if (IsPlain(instruction.Id))
        {
            EmitPlain(instruction);
            return;
        }
        switch (instruction.Id)
        {
            case InstructionId.Nop:
                break;
            case InstructionId.Pause:
                _asm.Byte(0xf3);
                _asm.Byte(0x90);
                break;
            case InstructionId.Lea:
                EmitLea(instruction);
                break;
            case InstructionId.MovMoffs:
                EmitMoffs(instruction);
                break;
            case InstructionId.IncDecShort:
                EmitIncDecShort(instruction);
                break;
            case InstructionId.Push or InstructionId.PushImmediate or InstructionId.Pop or InstructionId.Leave when NativeStack(instruction):
                EmitStackInstruction(instruction);
                break;
            case InstructionId.JmpRelative when NativeBranch(instruction):
                EmitJumpRelative(instruction);
                break;
            case InstructionId.JumpConditional when NativeBranch(instruction):
                EmitConditional(instruction);
                break;
            case InstructionId.Loop or InstructionId.JumpCxZero when NativeBranch(instruction) && instruction.AddressSize != 2:
                EmitCounted(instruction);
                break;
            case InstructionId.CallRelative when NativeBranch(instruction) && NativeStack(instruction):
                EmitCallRelative(instruction);
                break;
            case InstructionId.JmpIndirect when NativeIndirect(instruction):
                EmitJumpIndirect(instruction);
                break;
            case InstructionId.CallIndirect when NativeIndirect(instruction) && NativeStack(instruction):
                EmitCallIndirect(instruction);
                break;
            case InstructionId.Ret when NativeIndirect(instruction) && NativeStack(instruction):
                EmitReturn(instruction);
                break;
            case InstructionId.BitTestMemory when NativeBitTest(instruction):
                EmitBitTest(instruction);
                break;
            case InstructionId.Cli when Supervisor:
                EmitSystemFlag(Rflags.IF, set: false);
                break;
            case InstructionId.Sti when Supervisor && _index < _block.Count - 1:
                EmitEnableInterrupts(instruction);
                break;
            case InstructionId.Cld or InstructionId.Std:
                EmitSystemFlag(Rflags.DF, instruction.Id == InstructionId.Std);
                break;
            case InstructionId.Pushf when NativeStack(instruction):
                EmitPushFlags();
                break;
            case InstructionId.Popf when NativeStack(instruction) && (_key & (ModeKey.Cpl0 | ModeKey.User)) != 0:
                EmitPopFlags(instruction);
                break;
            case InstructionId.MovFromSegment when !instruction.HasMemory && instruction.OperandSize >= 4:
                EmitLoadSlot(instruction.Rm, Slot.SegmentSelector(instruction.Reg), 2);
                break;
            case InstructionId.MovFromSegment when instruction.HasMemory:
                EmitStoreSelector(instruction);
                break;
            case InstructionId.MovFromCr when Supervisor && NativeControlRegister(instruction):
                EmitLoadSlot(instruction.Rm, ControlRegisterSlot(instruction.Reg), _long ? 8 : 4);
                break;
            case InstructionId.MovToCr when Supervisor64 && instruction.Reg == 8:
                EmitWriteTaskPriority(instruction);
                break;
            case InstructionId.Rdfsbase or InstructionId.Rdgsbase when _long && (_key & ModeKey.FsGsBase) != 0:
                EmitLoadSlot(instruction.Rm, instruction.Id == InstructionId.Rdfsbase ? Slot.FsBase : Slot.GsBase, instruction.OperandSize);
                break;
            case InstructionId.Rdtscp when (_key & ModeKey.NativeTsc) != 0:
                EmitRdtscp();
                break;
            case InstructionId.Wrfsbase or InstructionId.Wrgsbase when _long && (_key & ModeKey.FsGsBase) != 0:
                EmitWriteSegmentBase(instruction);
                break;
            case InstructionId.Stac or InstructionId.Clac when Supervisor64:
                EmitAccessCheckFlag(instruction.Id == InstructionId.Stac);
                break;
            case InstructionId.Syscall when _long && (_key & (ModeKey.User | ModeKey.SingleStep | ModeKey.AlignmentCheck)) == ModeKey.User:
                EmitPrivilegeChange(stubs.Syscall);
                break;
            case InstructionId.Sysret when Supervisor64 && instruction.OperandSize == 8:
                EmitPrivilegeChange(stubs.Sysret);
                break;
            case InstructionId.Iret when Supervisor64 && instruction.OperandSize == 8:
                EmitPrivilegeChange(stubs.Iret);
                break;
            case InstructionId.Swapgs when _long && (_key & ModeKey.Cpl0) != 0:
                EmitSwapgs();
                break;
            case InstructionId.Movs or InstructionId.Stos when MovesByStub(_key, instruction):
                EmitString(instruction);
                break;
            case InstructionId.Cpuid when (_key & ModeKey.SingleStep) == 0:
                EmitSystemStub(stubs.Cpuid);
                break;
            case InstructionId.Rdmsr or InstructionId.Wrmsr when Supervisor64:
                EmitSystemStub(instruction.Id == InstructionId.Rdmsr ? stubs.ReadMsr : stubs.WriteMsr);
                break;
            case InstructionId.Invlpg when InvalidatesByStub(_key, instruction):
                EmitInvalidatePage(instruction);
                break;
            case InstructionId.In or InstructionId.Out when Supervisor:
                EmitPort(instruction);
                break;
            case InstructionId.Rdtsc when (_key & ModeKey.NativeTsc) != 0:
                EmitRdtsc();
                break;
            default:
                EmitSystem();
                break;
        }
    }

    /// <summary>Whether the modes let an instruction of this class run at all; if not, the executor raises what is due.</summary>
    private bool StateEnabled(StateClass state) => state switch
    {
        StateClass.Integer => true,
        StateClass.X87 => (_key & (ModeKey.TaskSwitched | ModeKey.Emulation)) == 0,
        StateClass.Wait => (_key & (ModeKey.TaskSwitched | ModeKey.MonitorCoprocessor)) != (ModeKey.TaskSwitched | ModeKey.MonitorCoprocessor),
        StateClass.Mmx => (_key & (ModeKey.TaskSwitched | ModeKey.Emulation)) == 0,
        StateClass.Sse => (_key & (ModeKey.TaskSwitched | ModeKey.Emulation | ModeKey.Sse)) == ModeKey.Sse,
        StateClass.Avx => (_key & (ModeKey.TaskSwitched | ModeKey.Avx)) == ModeKey.Avx,
        _ => (_key & (ModeKey.TaskSwitched | ModeKey.Avx512)) == ModeKey.Avx512,
    };

    // With alignment checking on, stack and branch instructions go to the executor; plain accesses are sent to their
    // slow path by the alignment test itself.
    private static bool NeedsExecutor(in Instruction instruction) => instruction.Id is InstructionId.Push or InstructionId.Pop
        or InstructionId.PushImmediate or InstructionId.Leave or InstructionId.CallRelative or InstructionId.CallIndirect or InstructionId.Ret;

    private Flags LiveAfter => _block.LiveAfter[_index];

    private Flags LiveBefore => _block.LiveBefore[_index];

    private int GuestOffset => _block.Offsets[_index];

    private int NextOffset => _block.Offsets[_index + 1];

    // ---- flags ----

    /// <summary>To be called before host flags are clobbered while <paramref name="live"/> are still needed.</summary>
    private void ParkFlags(Flags live)
    {
        if (live == Flags.None) return;
        if (_flags == FlagPlace.Host)
        {
            _asm.ParkFlags();
            _group.AddendAtHand = false;
        }
        _flags = FlagPlace.Parked;
    }

    /// <summary>As <see cref="ParkFlags"/>, but host flags are not clobbered afterwards.</summary>
    private void CopyFlags(Flags live)
    {
        if (live == Flags.None || _flags != FlagPlace.Host) return;
        ParkFlags(live);
        _flags = FlagPlace.Both;
    }

    /// <summary>Brings parked flags back. Clobbers scratch 1.</summary>
    private void UnparkFlags()
    {
        if (_flags != FlagPlace.Parked) return;
        _asm.UnparkFlags();
        _group.AddendAtHand = false;
        _flags = FlagPlace.Both;
    }

    /// <summary>Whether an instruction needs the old flags in the host's flags: it reads some, or leaves some of the live ones as they are.</summary>
    private bool NeedsHostFlags(in Instruction instruction)
    {
        if (_flags != FlagPlace.Parked) return false;
        if (instruction.FlagsRead != Flags.None) return true;
        if (instruction.FlagsWritten == Flags.None) return false;
        var kept = (instruction.Traits & InstructionTraits.FlagsMayStay) != 0 ? Flags.All : ~instruction.FlagsWritten;
        return (LiveAfter & kept) != Flags.None;
    }

    private void FlagsWritten(in Instruction instruction)
    {
        if (instruction.FlagsWritten != Flags.None) _flags = FlagPlace.Host;
    }

    // ---- leaving ----

    private void LeaveInline(SiteKind kind, ulong stub, int guestOffset, bool parked = false, int target = 0, int resume = 0, int copy = 0)
    {
        _asm.Call(stub);
        buffer.Sites.Add(new Site
        {
            Return = buffer.OffsetOf(_asm.Cursor),
            Kind = kind,
            GuestOffset = (ushort)guestOffset,
            Parked = parked,
            Target = target,
            Resume = resume,
            Copy = copy,
        });
    }

    private void EmitSystem()
    {
        buffer.SystemInstructions.Add(_block.Instructions[_index]);
        LeaveInline(SiteKind.System, stubs.System, GuestOffset, parked: _flags == FlagPlace.Parked, target: buffer.SystemInstructions.Count - 1);
        _flags = FlagPlace.Host;
    }

    private void EmitStep() => LeaveInline(SiteKind.Step, stubs.Step, _block.Length, parked: _flags == FlagPlace.Parked);

    /// <summary>Where to test for exit requests in a block that jumps backwards: preferably where no flags are live.</summary>
    private int PollIndex()
    {
        if (_block.Count == 0) return -1;
        var last = _block.Count - 1;
        ref readonly var terminator = ref _block.Instructions[last];
        if (_block.End != BlockEnd.Terminator) return -1;
        if (terminator.Id is not (InstructionId.JmpRelative or InstructionId.JumpConditional or InstructionId.Loop or InstructionId.JumpCxZero or InstructionId.CallRelative)) return -1;
        if (terminator.Immediate + terminator.Length > 0) return -1;
        for (var i = last; i >= 0; i--)
            if (_block.LiveBefore[i] == Flags.None) return i;
        return 0;
    }

    private void EmitPoll()
    {
        var live = LiveBefore;
        DropHeld();
        ParkFlags(live);
        _asm.GsCompare8(Slot.ExitRequest, 0);
        _cold[_coldCount++] = new Cold { Kind = ColdKind.Poll, Jump0 = _asm.JccForward(Cond.NE), Resume = _asm.Cursor, GuestOffset = GuestOffset, Parked = live != Flags.None };
    }
}
